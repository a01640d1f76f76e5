"""What is known of a run before anything is built or written: its folder and its record."""

import pytest

from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import RunError
from pixelrnn.training import preparation, run
from tests.training.test_run import config, tree


def test_nothing_is_written_and_no_file_is_read(monkeypatch):
    monkeypatch.setattr(PixelDataModule, "setup", None)
    monkeypatch.setattr(PixelDataModule, "prepare_data", None)
    prepared = preparation.prepare(config())
    assert prepared.record is None
    assert prepared.unevaluated == ["val", "test"]
    assert tree() == {}


def test_a_finished_run_has_its_record_and_lacks_what_was_not_asked_for():
    results = run.train(config(evaluate=["val"]))
    prepared = preparation.prepare(config(evaluate=["val", "test"]))
    assert prepared.record["metrics"] == results["metrics"]
    assert prepared.unevaluated == ["test"]


def test_changed_content_is_another_run(monkeypatch):
    monkeypatch.setattr(PixelDataModule, "content_id", "one")
    plan = preparation.prepare(config())
    monkeypatch.setattr(PixelDataModule, "content_id", "two")
    assert preparation.prepare(config()).folder != plan.folder
    with pytest.raises(RunError, match="the files of its data have changed"):
        preparation.prepare_again(plan.config)
