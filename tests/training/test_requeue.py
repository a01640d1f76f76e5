"""SLURM announces the end of a job: the state is saved, and exactly one queues the job again."""

import os
import signal
from pathlib import Path

import pytest

from pixelrnn.errors import Interrupted
from pixelrnn.training import checkpoint, interruption, run
from pixelrnn.training.module import PixelModule
from tests.training.test_run import config, only_run

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job of SLURM's, and what was asked of `scontrol`."""
    asked = tmp_path / "asked"
    tool = tmp_path / "bin" / "scontrol"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$*" >> "{asked}"\nexit ${{REFUSES:-0}}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    for name, value in {"JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "1", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name in ("SLURM_ARRAY_JOB_ID", "SUBMITIT_EXECUTOR"):
        monkeypatch.delenv(name, raising=False)
    return lambda: asked.read_text().splitlines() if asked.exists() else []


@pytest.fixture
def signals(monkeypatch):
    """Raises signals in the step of a number."""

    def at(step, *numbers):
        whole = PixelModule.training_step

        def training_step(self, *args):
            if self.global_step == step:
                for number in numbers:
                    signal.raise_signal(number)
            return whole(self, *args)

        monkeypatch.setattr(PixelModule, "training_step", training_step)

    return at


@pytest.mark.parametrize("array", [False, True])
def test_the_state_is_saved_and_the_job_queued_again(slurm, signals, monkeypatch, array, capfd):
    if array:
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    before = signal.getsignal(signal.SIGUSR1)
    signals(1, signal.SIGUSR1, signal.SIGTERM)  # SLURM's own order
    with pytest.raises(Interrupted) as caught:
        run.train(config(trainer__limit_train_batches=4))
    assert caught.value.exit_code == 143
    assert slurm() == [f"requeue {'5_3' if array else '7'}"]
    assert "SLURM queues job" in capfd.readouterr().err
    folder = only_run()
    assert checkpoint.to_resume(folder).step == 2
    assert not list(Path().rglob("hpc_ckpt*"))
    assert signal.getsignal(signal.SIGUSR1) is before
    assert run.train(config(trainer__limit_train_batches=4))["steps"] == 4


def test_a_signal_that_comes_twice_asks_once(slurm, monkeypatch, capfd):
    """With several processes each gets it, and one may be a step behind the other."""
    whole = PixelModule.training_step

    def training_step(self, *args):
        if self.global_step in (1, 2):
            signal.raise_signal(signal.SIGUSR1)
        return whole(self, *args)

    monkeypatch.setattr(PixelModule, "training_step", training_step)
    assert run.train(config(trainer__limit_train_batches=4))["steps"] == 4
    assert slurm() == ["requeue 7"]
    assert "does not queue" not in capfd.readouterr().err


def test_the_work_goes_on_where_slurm_refuses(slurm, signals, monkeypatch, capfd):
    monkeypatch.setenv("REFUSES", "1")
    signals(1, signal.SIGUSR1)
    assert run.train(config())["steps"] == 2
    assert slurm() == ["requeue 7"]
    assert "SLURM does not queue job 7 again" in capfd.readouterr().err


def test_submitit_owns_the_requeue_of_its_jobs(slurm, monkeypatch):
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda *_: calls.append("submitit"))
    try:
        with interruption.watching():
            interruption.current().waits = True
            signal.raise_signal(signal.SIGUSR1)
            interruption.current().leave_if_asked()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert calls == ["submitit"]
    assert slurm() == []


def test_outside_of_slurm_the_signal_is_not_ours(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    with interruption.watching():
        assert signal.getsignal(signal.SIGUSR1) is before
