"""Multiruns: one failing job stops no other, and the same command does what is left."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from pytorch_lightning.callbacks import Callback

import pixelrnn.training.callbacks as ours
from pixelrnn.cli import jobs
from pixelrnn.cli.main import main
from pixelrnn.runs import record
from tests.cli.commands import TINY, results, spawn

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
DIES = "+callbacks.dies._target_=pixelrnn.training.callbacks.Dies"


@pytest.fixture
def dies(monkeypatch):
    """A callback that raises in the run of seed 1, as long as `ill` holds anything."""
    ill = {1}

    class Dies(Callback):
        def on_train_epoch_start(self, trainer, module):
            if f"seed={trainer.datamodule.seed}" in {f"seed={seed}" for seed in ill}:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(ours, "Dies", Dies, raising=False)
    return ill


def last_notes():
    return jobs.notes(max(Path("runs/.sweep").iterdir()))


def test_a_failing_job_stops_no_other_and_is_tried_again(dies, capfd):
    command = [*TINY, "-m", "seed=0,1,2", DIES]
    assert main(command) == 1
    err = capfd.readouterr().err
    assert "multirun: 3 jobs: 2 finished, 1 failed" in err
    assert "No space left on device" in err
    assert len(results()) == 2
    (failed,) = Path("runs").glob("*/failed.json")
    assert record.failure(failed.parent) == "OSError: [Errno 28] No space left on device"
    assert main(["runs"]) == 0
    out = capfd.readouterr().out
    assert "failed" in out
    assert "No space left" in out

    dies.clear()
    before = results()
    assert main(command) == 0
    err = capfd.readouterr().err
    assert "multirun: 3 jobs: 1 finished, 2 skipped" in err.replace("1 resumed", "1 finished")
    assert not failed.exists()
    assert len(results()) == 3
    assert before.items() <= results().items()


def test_a_refused_job_is_named_and_leaves_no_folder(capfd):
    assert main([*TINY, "-m", "optimizer.lr=0.002,-1"]) == 1
    assert "optimizer: Invalid learning rate: -1" in capfd.readouterr().err
    assert [note["state"] for note in last_notes()] == ["finished", "failed"]
    assert len(list(Path("runs").glob("digits-*"))) == 1


def test_words_that_do_not_compose_are_wrong_input(capfd):
    assert main([*TINY, "-m", "model.hiden=4"]) == 2
    assert "model.hiden: no such key" in capfd.readouterr().err
    assert not Path("runs").exists()


def test_a_single_run_that_fails_says_so(dies, capfd):
    assert main([*TINY, "seed=1", DIES]) == 1
    (run,) = Path("runs").glob("digits-*")
    assert (run / "failed.json").is_file()
    dies.clear()
    assert main([*TINY, "seed=1", DIES]) == 0
    assert not (run / "failed.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local_joblib", "local_submitit"])
def test_other_launchers(launcher):
    pytest.importorskip(
        {"local_joblib": "joblib", "local_submitit": "submitit"}[launcher], reason="extra missing"
    )
    words = [w for w in TINY if not w.startswith("threads=")]
    command = [*words, "-m", "seed=0,1", "optimizer.lr=0.002,-1", f"hydra/launcher={launcher}"]
    process = spawn(*command)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "4 jobs: 2 finished, 2 failed" in err
    process = spawn(*command)
    _, err = process.communicate(timeout=300)
    assert "4 jobs: 2 skipped, 2 failed" in err
    for path in Path("runs").glob("*/config.yaml"):
        assert record.config(path.parent)["threads"] == 1


def kill(process):
    """-9, the whole group: launchers have children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "local_submitit"])
def test_killed_at_random_moments_equals_undisturbed(launcher):
    if launcher == "local_submitit":
        pytest.importorskip("submitit", reason="extra missing")
    command = [*TINY, "-m", "seed=0,1,2", "trainer.max_epochs=6", f"hydra/launcher={launcher}"]
    draw = random.Random(5)
    kills = 0
    for _ in range(4):
        process = spawn(*command)
        deadline = time.monotonic() + draw.uniform(6, 16)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        if process.poll() is not None:
            break
        kill(process)
        kills += 1
    assert kills
    process = spawn(*command)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    disturbed = results()
    assert len(disturbed) == 3
    shutil.move("runs", "disturbed")
    process = spawn(*command)
    process.communicate(timeout=600)
    assert results() == disturbed


def test_a_killed_job_is_reported(tmp_path):
    """Its note still says "started"."""
    (tmp_path / "0.json").write_text(json.dumps({"job": "a=1", "run": None, "state": "started"}))
    (tmp_path / "10.json").write_text(json.dumps({"job": "a=2", "run": "r", "state": "finished"}))
    states = [note["state"] for note in jobs.notes(tmp_path)]
    assert states == ["killed", "finished"]
    assert jobs._report(tmp_path, None) == 1
