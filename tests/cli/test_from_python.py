"""`pixelrnn.train([...])` is the command without the process around it."""

import json
import os
import threading
from pathlib import Path

import pytest

import pixelrnn
from pixelrnn.cli.main import main
from pixelrnn.errors import ConfigError, RunError
from tests.cli.commands import TINY
from tests.process_state import state_of_the_process

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
WORDS = [*TINY[1:], "data.eval_batch_size=256"]  # of auto, a line says what it means


def test_the_same_folder_record_and_resume_as_the_command(capfd):
    results = pixelrnn.train(WORDS)
    out, err = capfd.readouterr()
    assert out == err == ""
    (folder,) = Path("runs").glob("digits-*")
    stored = (folder / "results.json").read_text()
    assert json.loads(stored) == json.loads(json.dumps(results))

    assert main(TINY) == 0
    assert "finished before" in capfd.readouterr().out
    assert pixelrnn.train(WORDS) == json.loads(stored)
    assert (folder / "results.json").read_text() == stored

    (folder / "results.json").unlink()
    again = pixelrnn.train([f"run={folder}"])
    assert "resuming from step 11" in capfd.readouterr().err
    assert again["metrics"] == results["metrics"]


@pytest.mark.long
def test_nothing_stays_behind(capfd):
    before = state_of_the_process()
    pixelrnn.train([*WORDS, "logger=default"])
    assert state_of_the_process() == before
    pixelrnn.train([*WORDS, "logger=default", "seed=1"])
    assert state_of_the_process() == before
    assert len(list(Path("runs").glob("*/wandb/offline-run-*/*.wandb"))) == 2
    assert capfd.readouterr() == ("", "")  # W&B warns of nothing
    with pytest.raises(ConfigError, match="did you mean"):
        pixelrnn.train(["modle=row_lstm"])
    assert state_of_the_process() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-m", "seed=0,1"], "trains one run"),
        (["--help"], "trains one run"),
        (["sweep=table2"], "needs -m"),
        ("data=digits", "takes a list of words"),
        (["seed=x"], "seed=x"),
    ],
)
def test_what_is_refused_is_an_exception(words, says, capfd):
    with pytest.raises(ConfigError, match=says):
        pixelrnn.train(words)
    assert capfd.readouterr() == ("", "")
    assert os.listdir() == []


def test_a_missing_run_is_an_exception():
    with pytest.raises(RunError, match="no such run folder"):
        pixelrnn.train(["run=runs/none"])


def test_from_another_thread():
    found = []
    worker = threading.Thread(target=lambda: found.append(pixelrnn.train(WORDS)))
    worker.start()
    worker.join()
    assert "val/nll" in found[0]["metrics"]
