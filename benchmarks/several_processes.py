"""Several processes against one: the same losses, weights and metrics, also after kills.

    python -m benchmarks.several_processes [models=pixelcnn,row_lstm,diagonal_bilstm] [steps=50]

Each model is trained on the digits in 1, 2 and 4 processes of this machine, and once more by 4
processes of which one is killed with SIGKILL, by 2 of which one is killed, and by one to the end.
Batches are ragged, and the last batch of an epoch leaves one of 4 processes without an image.
Printed is how far each training is from that of one process; what differs is rounding.
"""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console

from pixelrnn.results import grid
from pixelrnn.runs import record
from pixelrnn.training import checkpoint

MODELS = ("pixelcnn", "row_lstm", "diagonal_bilstm")
RAGGED = 192
"""Batch size: 1347 images make 7 batches and one of 3 images."""

COLUMNS = (
    grid.Column("model"),
    grid.Column("processes"),
    grid.Column("steps", number=True),
    grid.Column("last train loss", number=True),
    grid.Column("test bits/dim", number=True),
    grid.Column("losses differ by", number=True),
    grid.Column("weights differ by", number=True),
)


class Training(NamedTuple):
    """What a training left.

    Attributes:
        losses: of each step, bits/dim.
        weights: by name, the averages as well, all in one vector.
        metrics: of the record.
        steps: optimiser steps.
    """

    losses: list[float]
    weights: torch.Tensor
    metrics: dict[str, Any]
    steps: int


def words(model: str, steps: int, *more: str) -> list[str]:
    """The command of a training of the same run, in however many processes."""
    return [
        *("train", f"model={model}", "model.hidden=8", "model.layers=2", "model.head_width=16"),
        *(f"data.batch_size={RAGGED}", f"trainer.max_steps={steps}", "trainer.max_epochs=-1"),
        *("trainer.log_every_n_steps=1", "logger=csv", "threads=1", "folder=run"),
        *("callbacks.progress=null", "callbacks.summary=null", "callbacks.samples=null"),
        *("callbacks.learning_rate=null", "evaluate=[test]", "data.eval_batch_size=256", *more),
    ]


def train(folder: Path, model: str, steps: int, processes: int) -> Training:
    """Train to the end, or go on to the end; read what is left."""
    process = start(folder, model, steps, processes)
    _, err = process.communicate(timeout=900)
    if process.returncode:
        raise RuntimeError(f"{processes} processes ended with {process.returncode}: {err}")
    return read(folder / "run")


def start(
    folder: Path, model: str, steps: int, processes: int, *more: str
) -> "subprocess.Popen[str]":
    """Start a training, in a process group of its own."""
    folder.mkdir(exist_ok=True, parents=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pixelrnn"),
            *words(model, steps, f"trainer.devices={processes}", *more),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def killed(folder: Path, model: str, steps: int, processes: int, after: int) -> tuple[int, str]:
    """Train, and kill the last of the processes when a checkpoint of step `after` is there.

    Returns:
        The exit code of the first process, and what it said.
    """
    process = start(folder, model, steps, processes, "callbacks.checkpoints.every_minutes=0.000001")
    while process.poll() is None and step_of(folder / "run") < after:
        time.sleep(0.05)
    for worker in children(process.pid)[-1:]:
        os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def children(pid: int) -> list[int]:
    """Processes that a process has started and that train with it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, _, rest = path.read_text().partition(" (")
            line = path.with_name("cmdline").read_text()
            if int(rest.rpartition(") ")[2].split()[1]) == pid and "training.worker" in line:
                found.append(int(number))
    return sorted(found)


def step_of(run: Path) -> int:
    """The step of last.ckpt; -1 without."""
    try:
        return int(checkpoint.read(run / "checkpoints/last.ckpt")["global_step"])
    except Exception:  # not there yet, or just being replaced
        return -1


def read(run: Path) -> Training:
    """What a training left in its folder."""
    with open(run / "metrics.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["train/nll"]]
    content = checkpoint.read(run / "checkpoints/last.ckpt")
    kinds = [content[kind] for kind in ("state_dict", "current_model_state") if kind in content]
    weights = [value.flatten().double() for kind in kinds for _, value in sorted(kind.items())]
    results = record.results(run)
    assert results is not None
    losses = [float(row["train/bits_per_dim"]) for row in rows]
    return Training(losses, torch.cat(weights), results["metrics"], results["steps"])


def distances(training: Training, one: Training) -> tuple[float, float]:
    """Largest relative difference of a loss, and of the weights in the largest norm."""
    losses = [abs(a - b) / b for a, b in zip(training.losses, one.losses, strict=True)]
    weights = (training.weights - one.weights).abs().max() / one.weights.abs().max()
    return max(losses), float(weights)


def compare(model: str, steps: int, root: Path) -> list[tuple[str, Training]]:
    """The trainings of one model: name of the processes -> what they left; the first is one's."""
    found = [
        (str(count), train(root / f"{model}-{count}", model, steps, count)) for count in (1, 2, 4)
    ]
    folder = root / f"{model}-killed"
    for processes, after in ((4, steps // 4), (2, steps // 2)):
        code, said = killed(folder, model, steps, processes, after)
        if code != 1 or "was killed" not in said or len(said.splitlines()) > 2:
            raise RuntimeError(f"killed: exit code {code}, {said}")
    return [*found, ("4, killed; 2, killed; 1", train(folder, model, steps, 1))]


def main(argv: list[str]) -> None:
    """Print the table."""
    given = dict(word.split("=", 1) for word in argv)
    steps = int(given.get("steps", 50))
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for model in given.get("models", ",".join(MODELS)).split(","):
            trainings = compare(model, steps, Path(root))
            one = trainings[0][1]
            print(f"{model} is done", file=sys.stderr, flush=True)
            for name, training in trainings:
                losses, weights = distances(training, one)
                rows.append(
                    [
                        *(model, name, str(training.steps), f"{training.losses[-1]:.6f}"),
                        f"{training.metrics['test/bits_per_dim']:.6f}",
                        *(f"{losses:.1e}", f"{weights:.1e}"),
                    ]
                )
    grid.show(Console(width=120), COLUMNS, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
