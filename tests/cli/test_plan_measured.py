"""What `pixelrnn plan` measures: a few real steps, pictures and memory, in their own process."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from pixelrnn.cli import compose, plan, planned, train
from pixelrnn.errors import ConfigError
from pixelrnn.training import costs, measuring, parts, preparation
from tests.cli.commands import QUIET, TINY

HERE = [*QUIET, "trainer.max_epochs=2"]


def test_a_step_is_the_time_between_two_and_the_first_ones_do_not_count():
    clock = measuring._Clock()
    clock.first, clock.ends = 1.0, [3.0, 6.0, 6.5, 7.0, 7.5]
    assert clock.batch() == pytest.approx(0.5)
    clock.ends = [3.0]
    assert clock.batch() == pytest.approx(2.0)


@pytest.mark.parametrize("seconds", [7, 1000])
def test_a_picture_takes_what_its_rows_take_however_few_are_drawn(seconds, monkeypatch):
    """Ten rows of three seconds, of which seven seconds let three be drawn."""
    now = [100.0]
    monkeypatch.setattr(measuring.time, "monotonic", lambda: now[0])

    class Slow:
        classes, rows_walked = None, 10

        def walk(self, source_of, n, labels, *, on_row):
            for row in range(self.rows_walked):
                now[0] += 3
                on_row(None, row)
            yield None

    assert measuring._grid(Slow(), seconds) == pytest.approx(30)


@pytest.mark.parametrize(
    "word",
    [
        "trainer.max_steps=0",
        "trainer.check_val_every_n_epoch=0",
        "trainer.limit_train_batches=0.01",
        "trainer.val_check_interval=44",
    ],
)
def test_what_the_trainer_refuses_is_not_planned(word):
    with pytest.raises(ConfigError, match=word):
        measuring.costs(train.prepared([*HERE, word]).config, 1, 0.1)


def test_parts_are_measured_in_the_way_of_a_run(tmp_path):
    words = [*TINY[1:], "trainer.accumulate_grad_batches=2"]
    prepared = preparation.prepare(compose.composed(words))
    found = costs.Costs(**measuring.costs(prepared.config, steps=1, seconds=0.2))
    model = parts.module(prepared.config).model
    assert found.parameters == sum(weight.numel() for weight in model.parameters())
    assert found.batches == len(prepared.data.train_dataloader()) == 11
    assert found.images == {"train": 1347, "val": 225, "test": 225}
    assert (found.drawn, found.threads, found.processes) == (False, 1, 1)
    assert found.memory > 2**26
    for name in ("begin", "step", "epoch_end", "validation", "evaluation", "grid", "end"):
        assert 0 < getattr(found, name) < 60, name
    assert not Path("runs").exists()


def test_data_that_are_not_at_hand_are_neither_fetched_nor_made(monkeypatch, capsys):
    words = [*TINY[1:], "data=mnist", "evaluate=[test]", "trainer.devices=2"]
    prepared = preparation.prepare(compose.composed(words))
    found = costs.Costs(**measuring.costs(prepared.config, steps=1, seconds=0.1))
    assert found.drawn
    assert found.images == {"train": 50000, "val": 10000, "test": 10000}
    assert found.batches == -(-50000 // 128)
    assert found.processes == 2  # of which one was measured, with its half of the batch
    assert not Path("data").exists()
    sweep = planned.Sweep([], "", "basic", 1, True)
    job = planned.Job("mnist", "", prepared, costs=found)
    plan._show(replace(sweep, jobs=[job]))
    assert "random images of their shape" in capsys.readouterr().out


@pytest.mark.slow
def test_a_process_of_its_own_measures_and_says_what_is_wrong():
    prepared = preparation.prepare(compose.composed([*TINY[1:]]))
    found = costs.measured(prepared.config, steps=1, seconds=0.1)
    assert found.imports > 0.1
    wrong = prepared.config | {"optimizer": prepared.config["optimizer"] | {"lr": -1}}
    with pytest.raises(ConfigError, match="Invalid learning rate"):
        costs.measured(wrong, steps=1, seconds=0.1)
    wide = preparation.prepare(compose.composed([*TINY[1:], "model.hidden=2048"]))
    with pytest.raises((ConfigError, MemoryError), match="memory"):  # in building, or in training
        costs.measured(wide.config, steps=1, seconds=0.1, memory=2**30)


@pytest.mark.long
def test_a_process_that_leaves_too_little_memory_to_others_is_ended(monkeypatch, tmp_path):
    """Its steps would never end; at the third look nothing is left."""
    prepared = preparation.prepare(compose.composed([*TINY[1:]]))
    left = iter([2**40, 2**40])
    monkeypatch.setattr(costs, "free_memory", lambda: next(left, 2**20))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(MemoryError, match="with it, less than"):
        costs.measured(prepared.config, steps=10**9, seconds=1e9)
    assert next(left, None) is None
    assert not list(tmp_path.iterdir())
