"""The way of a run: what is refused before anything is written, and what it leaves."""

import csv
import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from pixelrnn.errors import ConfigError, DataError, RunError
from pixelrnn.runs import naming, record, upgrade
from pixelrnn.training import load, parts, preparation, run

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
ADAM = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.01}
CHECKPOINTS = {
    "_target_": "pixelrnn.training.saving.RunCheckpoints",
    "folder": "{folder}/checkpoints",
}


def config(**changes):
    """A run of two steps; `trainer__max_epochs=2` changes a key inside a group."""
    made = {
        "data": {"_target_": "pixelrnn.data.Digits", "batch_size": 128},
        "model": {
            "_target_": "pixelrnn.models.PixelCNN",
            "image_shape": None,
            "levels": None,
            "hidden": 4,
            "layers": 1,
            "head_width": 4,
            "likelihood": {"_target_": "pixelrnn.likelihood.Categorical", "levels": None},
        },
        "optimizer": ADAM,
        "trainer": {
            "_target_": "pytorch_lightning.Trainer",
            "accelerator": "cpu",
            "max_epochs": 1,
            "limit_train_batches": 2,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
        },
        "callbacks": {"checkpoints": CHECKPOINTS},
        "label": "digits-tiny",
    }
    for name, value in changes.items():
        *groups, key = name.split("__")
        node = made
        for group in groups:
            node[group] = dict(node[group])
            node = node[group]
        node[key] = value
    return made


def only_run() -> Path:
    (folder,) = Path("runs").iterdir()
    return folder


def tree(folder="."):
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*") if path.is_file()}


def test_a_plain_mapping_in_a_record_out():
    given = config()
    results = run.train(given)
    assert given == config()
    folder = only_run()
    assert record.results(folder) == json.loads(json.dumps(results))
    stored = record.config(folder)
    assert stored == results["config"]
    assert stored["model"]["image_shape"] == [1, 8, 8]
    assert stored["model"]["levels"] == stored["model"]["likelihood"]["levels"] == 17
    assert {name.partition("/")[0] for name in results["metrics"]} == {"val", "test"}
    assert results["steps"] == 2
    model = load.load_model(folder)
    assert results["parameters"] == sum(weight.numel() for weight in model.parameters())


def test_the_record_is_of_the_best_weights_and_not_of_the_last():
    """A rate that is far too high: the first validation is better than the last one."""
    curves = {"_target_": "pixelrnn.training.csv_log.MetricsCSV", "save_dir": "{folder}"}
    given = config(optimizer=ADAM | {"lr": 2.0}, trainer__max_epochs=3, logger={"csv": curves})
    results = run.train(given)
    rows = csv.DictReader(only_run().joinpath("metrics.csv").read_text().splitlines())
    validated = [float(row["val/bits_per_dim"]) for row in rows if row["val/bits_per_dim"]]
    assert min(validated) < validated[-1] - 0.1
    assert results["metrics"]["val/bits_per_dim"] == pytest.approx(min(validated), rel=1e-5)
    assert results["steps"] == 6


def test_the_data_are_built_once(monkeypatch):
    from pixelrnn.data.base import PixelDataModule

    built = []
    init = PixelDataModule.__init__

    def counted(self, *args, **kwargs):
        built.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(PixelDataModule, "__init__", counted)
    run.train(config())
    assert len(built) == 1


def test_what_was_checked_is_what_runs():
    given = config(seed=1.0, data__batch_size="64", trainer__max_epochs=1.0, model__hidden=4.0)
    results = run.train(given)
    stored = results["config"]
    values = (
        *(stored["seed"], stored["data"]["batch_size"]),
        *(stored["trainer"]["max_epochs"], stored["model"]["hidden"]),
    )
    assert values == (1, 64, 1, 4)
    assert all(type(value) is int for value in values)
    assert preparation.prepare(config(seed=1, data__batch_size=64)).folder == only_run()


REFUSED = [
    ({"label": "../../evil"}, "label=../../evil: names the run's folder"),
    ({"label": "a/b"}, "label=a/b: names the run's folder"),
    ({"label": ""}, "label=: must have 1 to 100 characters"),
    ({"label": "x" * 300}, "must have 1 to 100 characters"),
    ({"label": ".."}, "label=..: names the run's folder"),
    ({"signature": "abc"}, "signature: no such key"),
    ({"modle": 1}, "modle: no such key; did you mean model?"),
    ({"seed": -1}, "seed=-1"),
    ({"evaluate": ["val", "tset"]}, "evaluate=['val', 'tset']"),
    ({"trainer__accumulate_grad_batches": 0}, "trainer.accumulate_grad_batches=0: input should"),
    ({"trainer__log_every_n_steps": 0}, "trainer.log_every_n_steps=0: input should be"),
    ({"trainer__max_epochs": 0}, "trainer.max_epochs=0: must be at least 1, or -1"),
    ({"trainer__val_check_interval": 0}, "trainer.val_check_interval=0: input should be"),
    ({"trainer__limit_train_batches": 0}, "trainer.limit_train_batches=0: input should be"),
    ({"trainer__overfit_batches": 2}, "trainer.overfit_batches: the data bring a sampler"),
    ({"trainer__accelerator": "gpu"}, "trainer.accelerator=gpu: this machine has none"),
    ({"folder": ""}, "folder=: "),
    ({"trainer__logger": True}, "trainer.logger: the run sets it itself; add yours as logger.NAME"),
    ({"model__levels": 2}, "model.levels=2 but the data have 17 levels"),
    ({"model__image_shape": [1, 9, 9]}, "model.image_shape=[1, 9, 9] but the data are [1, 8, 8]"),
    ({"model": {"_target_": "pixelrnn.data.Digits"}}, "model._target_=pixelrnn.data.Digits: is no"),
    ({"data": {"_target_": "collections.Counter"}}, "data._target_=collections.Counter: is no"),
    ({"callbacks__x": {"_target_": "collections.Counter"}}, "callbacks.x._target_=collections"),
    ({"logger": {"x": {"_target_": "collections.Counter"}}}, "logger.x._target_=collections"),
    ({"optimizer": {"_target_": "torch.optim.AdamW"}}, "optimizer: "),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_cannot_work_is_refused_before_anything_is_written(changes, says):
    if changes == {"trainer__accelerator": "gpu"} and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError) as refused:
        run.train(config(**changes))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert os.listdir() == []


def test_a_model_that_is_too_large_is_one_line(monkeypatch):
    def large(*_):
        raise RuntimeError("[enforce fail] can't allocate memory: you tried to allocate 392 GB")

    monkeypatch.setattr(parts.nodes, "build", large)
    with pytest.raises(ConfigError, match="model: does not fit into this machine's memory"):
        parts.module(config())


def test_missing_groups_are_named_or_empty():
    given = config()
    del given["optimizer"], given["model"]
    with pytest.raises(ConfigError, match=r"model: must be given, as model=\.\.\.; optimizer"):
        run.train(given)
    monitor = {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor"}
    run.train(config(logger=None, scheduler=None, evaluate="val", callbacks__rate=monitor))
    assert not list(only_run().glob("metrics.csv"))


def test_no_progress_callback_means_no_bar(capfd):
    run.train(config())
    out, err = capfd.readouterr()
    assert "Epoch" not in out + err


def test_missing_data_leave_nothing_behind():
    node = {"_target_": "pixelrnn.data.DownsampledImageNet", "version": "imagenet32_box"}
    with pytest.raises(DataError) as told:
        run.train(config(data=node | {"root": "data"}))
    assert os.listdir() == []
    for name, size in (("train", "3,580,435,279"), ("val", "139,697,668")):
        path = f"data/raw/Imagenet32_{name}_npz.zip"
        assert f"{path} is missing: {size} bytes" in str(told.value)
        assert f"{Path(path).name} (for instance with wget -c) to {path}" in str(told.value)
    assert "`pixelrnn data imagenet32_box paths.data=data`" in str(told.value)


def test_a_full_disc_is_one_line(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", "mine/samples/final.png")

    monkeypatch.setattr(run.sample_grid, "write", full)
    with pytest.raises(RunError, match=r"final\.png: No space left on device; .*the same"):
        run.train(config(folder="mine"))


def test_a_lock_is_held_while_it_trains_and_free_afterwards(monkeypatch):
    seen = []

    def other(plan, *args):
        with pytest.raises(RunError, match="another process is training this run"):
            run.train(config(folder="mine"))
        seen.append(plan)
        raise RuntimeError("stop")

    monkeypatch.setattr(run, "_fit_and_evaluate", other)
    with pytest.raises(RuntimeError, match="stop"):
        run.train(config(folder="mine"))
    assert len(seen) == 1
    assert record.failure(Path("mine")) == "RuntimeError: stop"
    monkeypatch.undo()


def test_a_commit_is_ours_only_if_git_tracks_the_package(monkeypatch, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "a").write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    copy = tmp_path / ".venv" / "record.py"
    copy.parent.mkdir()
    shutil.copy(record.__file__, copy)
    monkeypatch.setattr(record, "__file__", str(copy))
    assert record.environment()["commit"] is None
    subprocess.run([*git, "add", "-f", str(copy)], check=True)
    record._commit.cache_clear()
    commit = record.environment()["commit"]
    assert len(commit) == 40
    subprocess.run([*git, "commit", "-qm", "while a run trains"], check=True)
    assert record.environment()["commit"] == commit
    record._commit.cache_clear()
    assert record.environment()["commit"] != commit


def test_a_run_of_an_earlier_version_reports_and_trains_again():
    fixture = Path(__file__).parents[1] / "fixtures" / "run-70a6589"
    shutil.copytree(fixture, "old")
    stored = upgrade.upgraded(record.config(Path("old")))
    stored = naming.moved(stored, "old")
    if (fixture / "results.json").is_file():
        assert preparation.prepare_again(stored).record is not None
    plan = preparation.prepare_again(naming.moved(stored, "again") | {"threads": 1})
    results = run.carry_out(plan)
    assert results["signature"] == stored["signature"]
    assert "test/nll" in results["metrics"]
