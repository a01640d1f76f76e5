"""Commands that train next to nothing, in this process or another."""

import json
import os
import subprocess
import sys
from pathlib import Path

TINY = [
    "train",
    "threads=1",
    "logger=csv",
    "callbacks.summary=null",
    "callbacks.samples=null",
    "callbacks.progress=null",
    "data.batch_size=128",
    "model=pixelcnn",
    "model.hidden=4",
    "model.layers=1",
    "model.head_width=4",
    "trainer.max_epochs=1",
]


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


def results(root="runs"):
    """Records of all finished runs: signature -> metrics."""
    records = [json.loads(path.read_text()) for path in Path(root).glob("*/results.json")]
    return {record["signature"]: record["metrics"] for record in records}
