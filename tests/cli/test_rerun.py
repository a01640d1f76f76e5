"""`pixelrnn train run=runs/...`: a run again from its own folder."""

import os
from pathlib import Path

import pytest
import torch
import yaml

import pixelrnn
from pixelrnn.cli.main import main
from pixelrnn.runs import record
from pixelrnn.runs.naming import moved
from tests.cli.commands import TINY, results

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


@pytest.fixture
def run():
    assert main(TINY) == 0
    (run,) = Path("runs").glob("digits-*")
    return run


def test_in_a_new_folder_it_gives_the_same_weights(run, capfd):
    assert main(["train", f"run={run}", "folder=again", "threads=1"]) == 0
    one, two = (pixelrnn.load_model(path).state_dict() for path in (run, "again"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert record.config(Path("again"))["callbacks"]["checkpoints"]["folder"] == "again/checkpoints"
    assert record.results(run)["metrics"] == record.results(Path("again"))["metrics"]


def test_in_its_own_folder_it_reports_even_when_that_was_moved(run, capfd):
    os.rename(run, "elsewhere")
    capfd.readouterr()
    assert main(["train", "run=elsewhere"]) == 0
    assert "finished before" in capfd.readouterr().out
    Path("elsewhere/results.json").unlink()
    assert main(["train", "run=elsewhere"]) == 0
    assert Path("elsewhere/results.json").is_file()
    assert not results()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run=runs/none"], "runs/none: no such run folder"),
        (["run=kept", "seed=3"], "seed: train run=... takes the run's own configuration"),
        (["run=kept", "threads=x"], "threads=x: input should be a valid integer"),
    ],
    ids=" ".join,
)
def test_refused(words, says, capfd):
    Path("kept").mkdir()
    Path("kept/config.yaml").write_text("{folder: kept, threads: 1}")
    assert main(["train", *words]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert says in line


@pytest.mark.parametrize("target", ["os.mkdir", "pixelrnn.atomic.os.mkdir"])
def test_a_stored_configuration_calls_nothing_else(run, capfd, target):
    config = record.config(run)
    config["callbacks"]["evil"] = {"_target_": target, "path": "called"}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["train", f"run={run}", "folder=again"]) == 2
    assert f"will not call {target}" in capfd.readouterr().err
    assert not Path("called").exists()


def test_only_whole_folder_names_move():
    config = {"folder": "runs/a", "x": ["runs/a/c", "runs/ab"], "y": {"z": "runs/a"}}
    expected = {"folder": "b", "x": ["b/c", "runs/ab"], "y": {"z": "b"}}
    assert moved(config, "b") == expected


def test_what_follows_folder_is_taken_literally(run, capfd):
    assert main(["train", f"run={run}", "folder=2026-11-25"]) == 0
    assert Path("2026-11-25/results.json").is_file()
    os.rename("2026-11-25", "lr=0.1,h=3 (a)")
    capfd.readouterr()
    assert main(["train", "run=lr=0.1,h=3 (a)"]) == 0
    assert "finished before" in capfd.readouterr().out


def test_a_users_own_model_and_data_set_are_trained_again(run, monkeypatch, tmp_path):
    """As `evaluate` loads them."""
    (tmp_path / "mine.py").write_text(
        "from pixelrnn.data.digits import DigitsImages\n"
        "from pixelrnn.data.factory import served\n"
        "from pixelrnn.models import PixelCNN\n"
        "class Model(PixelCNN): pass\n"
        "class Images(DigitsImages): pass\n"
        "Data = served(Images)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ["model._target_=mine.Model", "folder=own", "data._target_=mine.Data"]
    assert main([*TINY, *words]) == 0
    assert main(["evaluate", "run=own", "threads=1"]) == 0
    assert main(["train", "run=own", "folder=again"]) == 0
    one, two = (record.results(Path(name))["metrics"] for name in ("own", "again"))
    assert one == two
