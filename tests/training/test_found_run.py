"""What a run finds in its folder: a finished run, a half-done one, or something in the way."""

import json
from pathlib import Path

import pytest

from pixelrnn.data import Digits
from pixelrnn.errors import RunError
from pixelrnn.runs import record
from pixelrnn.training import evaluate, run
from pixelrnn.training.module import PixelModule
from tests.training.test_run import config, only_run, tree

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def test_the_same_run_reports_and_evaluates_only_what_is_missing():
    first = run.train(config())
    before = tree()
    assert run.train(config(threads=2)) == json.loads(json.dumps(first))
    assert tree() == before
    weights = (only_run() / "checkpoints/best.ckpt").stat().st_mtime_ns
    more = run.train(config(evaluate=["train", "val", "test"]))
    assert first["metrics"].items() <= more["metrics"].items()
    assert "train/nll" in more["metrics"]
    assert (only_run() / "checkpoints/best.ckpt").stat().st_mtime_ns == weights
    assert record.results(only_run())["metrics"] == more["metrics"]


@pytest.mark.parametrize("known", [True, False], ids=["finished before", "finished meanwhile"])
def test_what_another_command_records_meanwhile_is_kept(monkeypatch, known):
    """It ends between this one's first look at the folder and its lock."""
    first = run.train(config(evaluate=["val"]))
    folder, built, trained = only_run(), run.built, []
    theirs = first | {"metrics": first["metrics"] | {"train/nll": 1.0}}
    if not known:
        (folder / "results.json").unlink()

    def slowly_built(prepared):
        assert (prepared.record is not None) == known
        ready = built(prepared)
        monkeypatch.setattr(ready.trainer, "fit", lambda *_, **__: trained.append(1))
        record.finish(folder, theirs)
        return ready

    monkeypatch.setattr(run, "built", slowly_built)
    results = run.train(config(evaluate=["test"]))
    assert theirs["metrics"].items() <= results["metrics"].items()
    assert "test/nll" in results["metrics"]
    assert record.results(folder)["metrics"] == results["metrics"]
    assert not trained


def test_a_folder_that_another_configuration_took_meanwhile_is_refused(monkeypatch):
    built = run.built

    def slowly_built(prepared):
        ready = built(prepared)
        record.start(Path("mine"), prepared.config | {"signature": "another", "seed": 7})
        return ready

    monkeypatch.setattr(run, "built", slowly_built)
    with pytest.raises(RunError, match=r"another configuration \(it differs in seed"):
        run.train(config(folder="mine"))
    assert not Path("mine/failed.json").exists()


def test_equal_splits_are_evaluated_once(monkeypatch):
    passes = []

    def counted(model, data, split, *more):
        passes.append(split)
        return {f"{split}/nll": 1.0, f"{split}/images": 2}

    data = Digits()
    images, labels = data.images("val"), data.labels("val")
    of = {"train": slice(7), "val": slice(None), "test": slice(None)}
    monkeypatch.setattr(data, "images", lambda split: images[of[split]])
    monkeypatch.setattr(data, "labels", lambda split: labels[of[split]])
    monkeypatch.setattr(evaluate, "evaluate", counted)
    found = evaluate.evaluate_splits(None, data, ["train", "val", "test"])
    assert passes == ["train", "val"]
    assert found["test/nll"] == found["val/nll"] == 1.0
    passes.clear()
    monkeypatch.setattr(data, "labels", lambda split: labels[of[split]] * (split == "val"))
    evaluate.evaluate_splits(None, data, ["val", "test"])
    assert passes == ["val", "test"]


def test_a_resume_is_announced_and_another_run_is_left_alone(capfd, monkeypatch):
    run.train(config(folder="mine"))
    Path("mine/results.json").unlink()
    capfd.readouterr()
    loaded = PixelModule.on_load_checkpoint

    def after_an_hour(module, checkpoint):
        loaded(module, checkpoint | {"seconds": checkpoint["seconds"] + 3600})

    monkeypatch.setattr(PixelModule, "on_load_checkpoint", after_an_hour)
    assert run.train(config(folder="mine"))["training_seconds"] > 3600
    assert "resuming from step 2 of mine/checkpoints/last.ckpt" in capfd.readouterr().err
    before = tree()
    with pytest.raises(RunError, match=r"another configuration \(it differs in model.hidden, seed"):
        run.train(config(folder="mine", model__hidden=5, seed=3))
    assert tree() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", "17", "\0\0"])
def test_a_damaged_record_is_one_line(content):
    run.train(config(folder="mine"))
    Path("mine/results.json").write_text(content)
    with pytest.raises(RunError, match=r"results.json.*delete it to evaluate anew"):
        run.train(config(folder="mine"))


@pytest.mark.parametrize("name", [".lock", "samples", "checkpoints", "."])
def test_a_file_or_folder_in_the_way_is_one_line(name):
    if name == ".lock":
        Path("mine/.lock").mkdir(parents=True)
    else:
        path = Path("mine") / name
        path.parent.mkdir(exist_ok=True) if name != "." else None
        path.write_text("")
    with pytest.raises(RunError, match=r"mine.*must be writable"):
        run.train(config(folder="mine"))
