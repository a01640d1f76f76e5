"""W&B's own process is killed, or hangs, while a run is trained."""

import subprocess
import sys
from pathlib import Path

import pytest

from pixelrnn.runs import record
from tests.cli.test_sync import curves
from tests.cli.test_tracking import WITH_WANDB

pytestmark = pytest.mark.slow
BROKEN = """
import os, signal, subprocess, sys, time
from pixelrnn.cli.main import main
from pixelrnn.training.saving import RunCheckpoints
start, stops = RunCheckpoints.on_train_batch_start, []
number, words = sys.argv[1], sys.argv[2:]  # a multirun changes sys.argv

def children():
    listed = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()[1:]]
    return [int(pid) for pid, parent, name in rows
            if parent == str(os.getpid()) and name.startswith("wandb-core")]

def strike(self, trainer, *more):
    if trainer.global_step == 5 and not stops:
        stops.extend(children())
        assert len(stops) == 1, stops
        os.kill(stops[0], getattr(signal, number))
        print("struck", time.monotonic(), flush=True)
    start(self, trainer, *more)

RunCheckpoints.on_train_batch_start = strike
code = main(words)
print("ended", time.monotonic(), flush=True)
os.kill(stops[0], signal.SIGKILL) if number == "SIGSTOP" else None
sys.exit(code)
"""


@pytest.mark.parametrize(("number", "bound"), [("SIGKILL", 20), ("SIGSTOP", 90)])
def test_the_training_ends_right_and_soon(number, bound):
    """One line; metrics.csv whole; the next job of the sweep has a W&B of its own again.

    A process that hangs costs 30 seconds at one row and 10 at the end.
    """
    command = [*WITH_WANDB, "-m", "seed=0,1", "callbacks.samples=null"]
    words = [sys.executable, "-c", BROKEN, number, *command]
    process = subprocess.run(words, capture_output=True, text=True, timeout=400)
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr
    assert process.stderr.count("W&B failed (") == 1
    times = dict(line.split() for line in process.stdout.splitlines() if line[:6] in WORDS)
    assert float(times["ended"]) - float(times["struck"]) < bound
    first, second = sorted(Path("runs").glob("*/results.json"), key=lambda p: p.stat().st_mtime)
    for run in (first.parent, second.parent):
        assert record.results(run)["steps"] == 11
        assert sum("train/nll" in row for row in curves(run)) == 5
    assert len(list(second.parent.glob("wandb/offline-run-*/*.wandb"))) == 1


WORDS = ("struck", "ended ")
