"""Two processes of one run in a job of a real SLURM: its signal saves once, and the job goes on."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import TINY
from tests.cli.test_interruptions import assert_same
from tests.slurm.test_slurm import asked
from tests.slurm.test_slurm import slurm as slurm  # the fixture

pytestmark = pytest.mark.slow

SCRIPT = """#!/bin/bash
#SBATCH --partition=debug --nodes=1 --ntasks=2 --overcommit --mem=0
#SBATCH --requeue --open-mode=append
srun --ntasks=2 --overcommit "$PYTHON" -m pixelrnn.cli.main {words}
"""
EPOCHS = 60
WORDS = [*TINY, "trainer.devices=2", "callbacks.early_stopping=null", "evaluate=[val]"]


def waits(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def submitted(conf, folder):
    """Submit the job of a run; returns its number."""
    words = [*WORDS, f"trainer.max_epochs={EPOCHS}", f"folder={folder}"]
    path = Path(f"{folder}.sh")
    path.write_text(SCRIPT.format(words=" ".join(words)))
    answer = asked(conf, "sbatch", "--parsable", f"--output={folder}.txt", str(path))
    assert answer.strip().isdigit(), answer
    return answer.strip()


def over(conf, job):
    return job not in asked(conf, "squeue", "--noheader", "--format=%i").split()


def test_usr1_saves_requeues_and_goes_on(slurm, monkeypatch):
    monkeypatch.setenv("PYTHON", sys.executable)
    job = submitted(slurm, "run")
    last = Path("run/checkpoints/last.ckpt")
    waits(last.exists)
    asked(slurm, "scancel", "--signal=USR1", job)
    waits(lambda: "SLURM queues job" in Path("run.txt").read_text())
    said = Path("run.txt").read_text()
    assert said.count("SLURM queues job") == 1  # one of the two processes asks
    assert not Path("run/results.json").exists()
    # a job that was put back waits for two minutes; it may begin now
    waits(lambda: "PENDING" in asked(slurm, "squeue", "--noheader", "--format=%T"))
    asked(slurm, "scontrol", "update", f"JobId={job}", "StartTime=now")
    waits(Path("run/results.json").exists)
    waits(lambda: over(slurm, job))
    assert "resuming from step" in Path("run.txt").read_text()
    assert "Traceback" not in Path("run.txt").read_text()
    assert "does not queue" not in Path("run.txt").read_text()
    whole = submitted(slurm, "whole")
    waits(lambda: over(slurm, whole))
    assert json.loads(Path("whole/results.json").read_text())["steps"] == EPOCHS * 11
    assert_same("whole", "run")
