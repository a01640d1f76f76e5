"""W&B's offline files of a run folder: what they hold, and one whole file to send.

Each process of a run writes a file of its own, `wandb/offline-run-<time>-<id>/run-<id>.wandb`. One
that was killed leaves a file without an end, or an empty one, and W&B's client then sends nothing.
metrics.csv has every row, so that a whole file can be written from it at any time.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from pytorch_lightning.loggers import WandbLogger

from pixelrnn.errors import RunError
from pixelrnn.training import csv_log

Session = Callable[[], contextlib.AbstractContextManager[list[Any]]]

_WANDB = "import sys; from wandb.cli.cli import cli; sys.exit(cli(sys.argv[1:]))"
_ADDED = "figures/"
"""Begins the names of pictures that are added to a run later (`tracking.add_picture`)."""
_LOGGED = ("metrics.csv", "results.json")


class Piece(NamedTuple):
    """One offline file.

    Attributes:
        file: its path.
        first: number of its first row.
        rows: how many rows of the training it holds, pictures included, up to where it can be read.
        ended: W&B was finished, so that the file can be sent.
        sent: W&B's client has noted that it was sent.
    """

    file: Path
    first: int
    rows: int
    ended: bool
    sent: bool


def pieces(run: Path) -> list[Piece]:
    """The offline files of a run folder, the oldest first."""
    return [_look(file) for file in sorted(run.glob("wandb/offline-run-*/*.wandb"))]


def sent(run: Path) -> int:
    """How many rows of the training, pictures included, were sent."""
    files = run.glob("wandb/**/*.wandb")
    return max((p.first + p.rows for p in map(_look, filter(_is_sent, files)) if p.rows), default=0)


def put_aside(run: Path, files: Sequence[Path] | None = None) -> None:
    """Move files of earlier processes of a run to where W&B's client does not look.

    Args:
        run: the run folder.
        files: which; None: all.
    """
    chosen = run.glob("wandb/offline-run-*") if files is None else (file.parent for file in files)
    for folder in sorted(chosen):
        if folder.is_dir() and not folder.is_symlink():
            earlier = run / "wandb" / "earlier"
            earlier.mkdir(exist_ok=True)
            folder.rename(earlier / folder.name)


def log_history(
    logger: WandbLogger, rows: Sequence[tuple[int, dict[str, float]]], run: Path
) -> int:
    """Log rows of metrics.csv again, and the pictures that were drawn meanwhile.

    Args:
        logger: of a W&B run that has just begun.
        rows: step and metrics.
        run: the run folder, with samples/epoch-<number>.png.

    Returns:
        How many rows these are, pictures included.
    """
    pictures = 0
    for step, metrics in rows:
        picture = _picture(run, metrics)
        if picture is not None:
            with Image.open(picture) as image:
                logger.log_image("samples", [image.convert("RGB")], step=step)
            pictures += 1
        logger.log_metrics(metrics, step)
    return len(rows) + pictures


def all_sent(run: Path) -> bool:
    """Whether all files of a run were sent, and nothing was logged since. Reads no file."""
    files = list(run.glob("wandb/offline-run-*/*.wandb"))
    if not files or not all(map(_is_sent, files)):
        return False
    newest = max(marker(file).stat().st_mtime_ns for file in files)
    logged = [path for name in _LOGGED if (path := run / name).exists()]
    return all(path.stat().st_mtime_ns <= newest for path in logged)


def whole(run: Path, session: Session, summary: dict[str, Any]) -> list[Path]:
    """The files of a run to send, in this order: first one with all curves that were not sent yet.

    If there is no such file, with an end, one is written from metrics.csv, and those that cannot be
    sent are put aside. Files without curves, such as a figure that was added later, come after.

    Args:
        run: the run folder, which no process trains.
        session: begins the W&B run offline, and ends it.
        summary: the final results, if the run is finished.

    Returns:
        What is not sent yet.

    Raises:
        RunError: there is nothing to send, or W&B cannot write.
    """
    if all_sent(run):
        return []
    rows = csv_log.history(run / "metrics.csv")
    if not rows:
        raise RunError(f"{run}: nothing to send: metrics.csv holds no rows")
    expected = len(rows) + sum(_picture(run, metrics) is not None for _, metrics in rows)
    found, before = pieces(run), sent(run)
    later = [piece.file for piece in found if piece.ended and not piece.rows and not piece.sent]
    for piece in found:
        goes_on = piece.ended and not piece.sent and piece.rows and piece.first == before
        if goes_on and piece.first + piece.rows >= expected:
            return [piece.file, *later]
    put_aside(run, [piece.file for piece in found if piece.file not in later])
    known = {piece.file for piece in pieces(run)}  # W&B's names are of seconds, and may come again
    with session() as (logger,):
        log_history(logger, rows, run)
        logger.experiment.summary.update(summary)
    (written,) = (piece for piece in pieces(run) if piece.file not in known)
    if not written.ended or (expected > before and written.first + written.rows < expected):
        raise RunError(f"{run}: W&B did not write a whole file; is the disc full?")
    return [written.file, *later]


def client(words: Sequence[str], environment: dict[str, str], **how: Any) -> tuple[int, str]:
    """Run W&B's own command.

    Args:
        words: what stands after `wandb`.
        environment: of the process.
        how: more arguments of `subprocess.run`.

    Returns:
        Its exit code, and what it said.
    """
    done = subprocess.run(
        [sys.executable, "-c", _WANDB, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        **how,
    )
    return done.returncode, done.stdout


def marker(file: Path) -> Path:
    """The file by which W&B's client notes that another was sent."""
    return file.with_name(f"{file.name}.synced")


def _is_sent(file: Path) -> bool:
    return marker(file).exists()


def _picture(run: Path, metrics: dict[str, float]) -> Path | None:
    """The samples that were drawn in the validation of this row, if there are any."""
    if "val/nll" not in metrics or "epoch" not in metrics:
        return None
    path = run / "samples" / f"epoch-{int(metrics['epoch']) + 1:04d}.png"
    return path if path.is_file() else None


def _look(file: Path) -> Piece:
    numbers, ended = [], False
    for record in _records(file):
        item = record.get("history", {}).get("item")
        if item and not any(str(name).startswith(_ADDED) for name in item):
            numbers.append(int(item["_step"]))
        ended = ended or record.get("type") == "exit"
    first = min(numbers, default=0)
    return Piece(file, first, len(numbers), ended, _is_sent(file))


def _records(file: Path) -> Iterator[dict[str, Any]]:
    """What W&B's own reader finds, up to where the file ends or is damaged."""
    _, said = client(["leet", "inspect", "--json", str(file)], dict(os.environ))
    for line in said.splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record
