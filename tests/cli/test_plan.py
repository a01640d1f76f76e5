"""`pixelrnn plan`: which runs, how far they are, what is left; the costs are given, or measured."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from pixelrnn import cores
from pixelrnn.cli import plan, planned, train
from pixelrnn.cli.main import main
from pixelrnn.cli.multirun import plans
from pixelrnn.errors import ConfigError
from pixelrnn.training import costs, preparation
from tests.cli.commands import QUIET, TINY, needed
from tests.training.test_forecast import COSTS

HERE = [*QUIET, "trainer.max_epochs=2"]


@pytest.fixture
def given(monkeypatch):
    """Costs that are not measured; what was asked for."""
    asked = []

    def measured(config, steps, seconds, memory):
        asked.append((config["label"], config["model"].get("layers"), steps, seconds))
        return COSTS

    monkeypatch.setattr(costs, "measured", measured)
    return asked


def test_one_run(given, capsys):
    assert main(["plan", *HERE, "model.layers=3", "steps=7", "seconds=0.5"]) == 0
    assert given == [("digits-diagonal_bilstm", 3, 7, 0.5)]
    out = capsys.readouterr().out
    for word in ("digits-diagonal_bilstm", "1,000", "100", "0.1", "1.0 GiB", "at most"):
        assert word in out
    assert "the command: at most" in out
    assert not Path("runs").exists()


def test_a_sweep_measures_each_setting_once_and_tells_the_whole(given, capsys, monkeypatch):
    needed("joblib")
    monkeypatch.setattr(cores, "available", lambda: 2)
    words = [*HERE, "model.layers=1,2", "seed=0,1", "callbacks.early_stopping=null"]
    sweep = plan.plan(words=["-m", *words, "hydra/launcher=local_joblib"])
    assert sorted(layers for _, layers, *_ in given) == [1, 2]
    names = [job.name for job in sweep.jobs]
    assert names == [f"model.layers={layers} seed={s}" for layers in (1, 2) for s in (0, 1)]
    each = sweep.jobs[0].left.seconds
    assert planned.total(sweep) == pytest.approx((5 + 4 * each, 5 + 2 * each))
    out = capsys.readouterr().out
    assert f"one after the other: {plan.span(5 + 4 * each)}" in out
    assert f"hydra/launcher=local_joblib, 2 at a time: {plan.span(5 + 2 * each)}" in out
    assert "at most" not in out

    wide = [replace(job, costs=replace(COSTS, threads=2)) for job in sweep.jobs]
    assert planned.total(replace(sweep, jobs=wide))[1] == pytest.approx(5 + 4 * each)
    elsewhere = replace(sweep, jobs=wide, at_once=4, here=False)
    assert planned.total(elsewhere)[1] == pytest.approx(5 + each)
    assert "machines that are as fast as this one" in plan._totals(elsewhere)[1]


@pytest.mark.long
def test_a_table_is_planned_row_by_row_without_m(given, capsys):
    assert main(["plan", "sweep=table4", "scale=small"]) == 0
    out = capsys.readouterr().out
    assert out.count("experiment=") == len(given) == 4
    assert "scale=small" in out
    assert not Path("runs").exists()


def test_what_is_done_is_not_left(given, capsys):
    done = [*TINY[1:], "evaluate=[val]", "trainer.limit_train_batches=2"]
    assert main(["train", *done]) == 0
    record = json.loads(next(Path("runs").glob("*/results.json")).read_text())
    assert main(["plan", *done]) == 0
    assert given == []
    assert "finished" in capsys.readouterr().out

    half = [word for word in done if "max_epochs" not in word] + ["trainer.max_epochs=2"]
    plain = train.prepared(half)
    next(Path("runs").glob("*/results.json")).unlink()
    folder = Path(plain.config["folder"])
    next(Path("runs").glob("digits-*")).rename(folder)
    (folder / "config.yaml").unlink()
    assert main(["plan", *half, "format=json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert job["state"] == f"at step {record['steps']}"
    assert job["done"] == record["steps"] == 2


def test_of_a_trained_run_only_what_is_not_evaluated_is_left(given):
    """A split is asked for that the record lacks; another run is half done."""
    config = {"label": "x", "model": {}, "callbacks": {}, "evaluate": ["val", "test"]}
    config |= {"trainer": {"max_epochs": 20, "max_steps": -1}, "folder": "runs/x"}
    data = SimpleNamespace(splits=("train", "val", "test"))
    record = {"metrics": {"val/nll": 1.0}}
    trained = planned.Job("a", "a", preparation.PreparedRun(config, data, record))
    half = planned.Job("b", "b", preparation.PreparedRun(config, data, None), done=500)
    sweep = planned.Sweep([trained, half], "", "basic", 1, True)
    first, second = planned.measured(sweep, 3, 5.0, lambda *_: None).jobs
    assert (first.state, second.state) == ("not evaluated", "at step 500")
    assert first.left.seconds == pytest.approx(200 * COSTS.evaluation)
    assert second.left.training == pytest.approx(500 * COSTS.step)


@pytest.mark.parametrize(
    ("launcher", "at_once"),
    [
        ({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}, 1),
        ({"_target_": "joblib", "n_jobs": 2}, 2),
        ({"_target_": "joblib", "n_jobs": -1}, 4),
        ({"_target_": "ray", "ray": {"remote": {"num_cpus": 2}}}, 2),
        ({"_target_": "slurm", "array_parallelism": 3}, 3),
        ({"_target_": "slurm", "array_parallelism": 256}, 6),
        ({"_target_": "local"}, 6),
    ],
    ids=str,
)
def test_launchers_run_so_many_jobs_at_a_time(launcher, at_once, monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 4)
    node = OmegaConf.create(launcher)
    assert planned._at_once(node, launcher["_target_"], jobs=6) == at_once


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (42, "42 s"),
        (99, "99 s"),
        (840, "14 min"),
        (5.2 * 3600, "5.2 h"),
        (1500 * 3600, "1,500 h"),
    ],
)
def test_times_are_told_in_a_unit_that_suits_them(seconds, words):
    assert plan.span(seconds) == words


def test_memory_is_told_in_a_unit_that_suits_it():
    assert [plan._bytes(count) for count in (2**29, 3 * 2**29)] == ["512 MiB", "1.5 GiB"]


@pytest.mark.long
def test_a_row_that_cannot_run_here_says_why_and_the_others_are_planned(monkeypatch, capsys):
    errors = {
        2: MemoryError("it was killed for want of memory"),
        3: ConfigError("trainer.accelerator=gpu: no GPU"),
        4: RuntimeError("SomeError: deep inside"),
    }

    def measured(config, *_):
        if config["model"]["layers"] in errors:
            raise errors[config["model"]["layers"]]
        return COSTS

    monkeypatch.setattr(costs, "measured", measured)
    assert main(["plan", "-m", *HERE, "model.layers=1,2,3,4"]) == 1
    out = capsys.readouterr().out
    for layers, says in {
        2: "does not fit into this machine's memory",
        3: "trainer.",
        4: "Some",
    }.items():
        assert f"model.layers={layers}: {says}" in out
    assert out.count("1,000") == 1


def test_an_endless_training_is_told(given, capsys):
    words = ["trainer.max_epochs=-1", "callbacks.early_stopping=null", "-m"]
    assert main(["plan", *QUIET, *words, "scheduler=constant"]) == 1
    out = capsys.readouterr().out
    assert "\ndigits-diagonal_bilstm: how many steps it takes is not known: set trainer" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.hiden=3"], "model.hiden: no such key"),
        (["steps=0"], "steps=0: input should be greater than or equal to 1"),
        (["seconds=0", "format=xml"], "format=xml: input should be 'table' or 'json'"),
        (["sweep=table99"], "sweep=table99: no such"),
        (["table5"], "table5: expected KEY=VALUE"),
        (["--cfg", "job"], "takes no flags but"),
        (["run=nowhere"], "nowhere"),
        (["-m", "seed=0,1", "model.layers=1,0"], "model.layers=0"),
        (["seed=0,1"], "seed=0,1"),
    ],
)
def test_wrong_words_are_one_line(words, says, given, capfd):
    assert main(["plan", *words]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert says in line
    assert given == []
    assert not Path("runs").exists()


def test_help_explains_the_keys_and_the_words(capsys):
    assert main(["plan", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("usage: pixelrnn plan", "steps=3", "seconds=5.0", "format=table", "OTHER=..."):
        assert word in out


def test_the_jobs_are_those_that_hydra_would_start():
    """The last key varies fastest, and values of a table come first: as `jobs.run` notes them."""
    jobs = plans.jobs(["seed=0,1", "model=pixelcnn,row_lstm", "model.layers=3"])
    assert jobs == [
        [f"seed={seed}", f"model={model}", "model.layers=3"]
        for seed in (0, 1)
        for model in ("pixelcnn", "row_lstm")
    ]
    with pytest.raises(ConfigError, match="a search chooses its values"):
        plans.jobs(["optimizer.lr=interval(0.1,0.2)"])
