"""Ctrl-C and SIGTERM through the command line: the same command ends as if nothing had happened."""

import json
import signal
import time
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.cli.main import main
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import record
from pixelrnn.training import checkpoint, evaluate, interruption
from tests.cli.commands import TINY, spawn

pytestmark = pytest.mark.filterwarnings("ignore")


def results(folder):
    content = json.loads(Path(folder, "results.json").read_text())
    return content["metrics"], content["steps"], content["epochs"]


def assert_same(one, other):
    assert results(one) == results(other)
    for name in ("best", "last"):
        ours, theirs = (
            checkpoint.read(Path(run, "checkpoints", f"{name}.ckpt")) for run in (one, other)
        )
        for key in ("state_dict", "current_model_state"):
            for weight, value in ours[key].items():
                assert torch.equal(value, theirs[key][weight])
        assert ours["global_step"] == theirs["global_step"]
    assert (
        Path(one, "samples/final.png").read_bytes() == Path(other, "samples/final.png").read_bytes()
    )


MOMENTS = {
    "before the fit": (pl.Trainer, "fit"),
    "in the evaluation": (evaluate, "evaluate"),
    "in the samples": (ImageDistribution, "sample"),
    "at the record": (record, "environment"),
}


def interrupts(monkeypatch, owner, name, number):
    """The first call raises a signal, in the middle of what the process does."""
    whole = getattr(owner, name)

    def once(*args, **options):
        monkeypatch.setattr(owner, name, whole)
        signal.raise_signal(number)
        raise AssertionError("went on")

    monkeypatch.setattr(owner, name, once)


@pytest.mark.long
@pytest.mark.parametrize("model", ["pixelcnn", "row_lstm", "diagonal_bilstm"])
def test_outside_of_training_it_leaves_at_once_and_goes_on(capfd, monkeypatch, model):
    command = [*TINY, f"model={model}", "trainer.max_epochs=2", "evaluate=[val]"]
    assert main([*command, "folder=whole"]) == 0
    for index, (owner, name) in enumerate(MOMENTS.values()):
        number, code = ((signal.SIGINT, 130), (signal.SIGTERM, 143))[index % 2]
        interrupts(monkeypatch, owner, name, number)
        before = signal.getsignal(number)
        capfd.readouterr()
        assert main([*command, "folder=run"]) == code
        assert signal.getsignal(number) is before
        assert interruption.current() is None
        line = capfd.readouterr().err.strip().splitlines()[-1]
        assert line.startswith(f"pixelrnn: interrupted by {signal.Signals(number).name}; ")
        assert not Path("run/results.json").exists()
    assert main([*command, "folder=run"]) == 0
    assert_same("whole", "run")


@pytest.mark.slow
def test_two_processes_interrupted_one_after_the_other(capfd):
    """By SIGINT, then SIGTERM, sent from outside at moments that nobody chose."""
    command = [*TINY, "trainer.max_epochs=25", "callbacks.early_stopping=null"]
    assert main([*command, "folder=whole"]) == 0
    last = Path("run/checkpoints/last.ckpt")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = spawn(*command, "folder=run")
        before, deadline = last.exists() and last.stat().st_mtime_ns, time.monotonic() + 120
        while not last.exists() or last.stat().st_mtime_ns == before:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert "the same command goes on from step" in err
    assert not Path("run/results.json").exists()
    assert main([*command, "folder=run"]) == 0
    assert "resuming from step" in capfd.readouterr().err
    assert_same("whole", "run")
