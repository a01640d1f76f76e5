"""Commands that train next to nothing, in this process or another."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

QUIET = [
    "threads=1",
    "logger=csv",
    "callbacks.summary=null",
    "callbacks.samples=null",
    "callbacks.progress=null",
    "data.batch_size=128",
]

TINY = [
    "train",
    *QUIET,
    "model=pixelcnn",
    "model.hidden=4",
    "model.layers=1",
    "model.head_width=4",
    "trainer.max_epochs=1",
]

TWELVE = [
    "train",
    "-m",
    "sweep=table4",
    "scale=small",
    "seed=0,1,2",
    *QUIET,
    "trainer.max_epochs=3",
]
"""A table of the paper on stand-in data, three seeds of each of its four runs."""


def spawn(*words, **environment):
    """`pixelrnn ...` in a process of its own, and of its own group."""
    return subprocess.Popen(
        [sys.executable, "-m", "pixelrnn.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        start_new_session=True,
    )


def needed(package):
    """Skip a test whose launcher is in an extra that is not installed."""
    pytest.importorskip(f"hydra_plugins.hydra_{package}_launcher", reason=f"{package}: no extra")


def kill(process):
    """-9, the whole group: launchers have children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def results(root="runs"):
    """Records of all finished runs: signature -> metrics."""
    records = [json.loads(path.read_text()) for path in Path(root).glob("*/results.json")]
    return {record["signature"]: record["metrics"] for record in records}


def table(root):
    """The table of `TWELVE`: every value of every seed in full precision, but how long it took."""
    process = spawn("table", "table4", "scale=small", "plots=false", f"paths.runs={root}")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert out.count("± ") >= 4
    lines = (Path(root) / "tables" / "table4-small.csv").read_text().splitlines()
    return [row | {"seconds": None} for row in csv.DictReader(lines)]
