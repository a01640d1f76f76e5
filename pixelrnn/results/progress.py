"""How far a run is that is not finished: cheap to ask, from its lock and the end of metrics.csv."""

import csv
import math
import os
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TAIL = 1 << 16
"""Bytes of metrics.csv that are read: the last few hundred rows."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        steps: optimiser steps done, as far as metrics.csv says; None: it says nothing.
        total: steps of the whole run; None: not known yet.
        last: metric -> its last value.
    """

    steps: int | None = None
    total: int | None = None
    last: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Such as "1,200 of 5,000"; empty if nothing is known."""
        if self.steps is None:
            return ""
        return f"{self.steps:,}" + (f" of {self.total:,}" if self.total else "")


def of(run: Path, config: dict[str, Any]) -> Progress:
    """Read the progress of a run.

    Args:
        run: its folder.
        config: its configuration.
    """
    steps, batches_per_epoch = None, None
    last: dict[str, float] = {}
    for row in _rows(run / "metrics.csv"):
        step, epoch = _number(row.pop("step", None)), _number(row.pop("epoch", None))
        numbers = {name: number for name in row if (number := _number(row[name])) is not None}
        last |= numbers
        if step is not None:
            steps = max(steps or 0, int(step) + 1)
            if epoch is not None and any(name.startswith("val/") for name in numbers):
                batches_per_epoch = (step + 1) / (epoch + 1)
    return Progress(steps, _total(config.get("trainer") or {}, batches_per_epoch), last)


def locks() -> set[int]:
    """The inodes of all files that processes of this machine hold locks on; Linux only."""
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        return {int(line.split(" EOF")[0].split()[-2].rpartition(":")[2]) for line in lines}
    except (OSError, ValueError, IndexError):
        return set()


def is_running(run: Path, held: Set[int]) -> bool:
    """Whether a process of this machine trains this run.

    Args:
        run: its folder.
        held: from `locks`.
    """
    try:
        return os.stat(run / ".lock").st_ino in held
    except OSError:
        return False


def _total(trainer: dict[str, Any], steps_per_epoch: float | None) -> int | None:
    limits = []
    max_steps, max_epochs = trainer.get("max_steps"), trainer.get("max_epochs")
    if isinstance(max_steps, int) and max_steps > 0:
        limits.append(max_steps)
    if isinstance(max_epochs, int) and max_epochs > 0:
        if steps_per_epoch is None:
            return None
        limits.append(round(steps_per_epoch * max_epochs))
    return min(limits, default=None)


def _rows(path: Path) -> list[dict[str, Any]]:
    """The last rows, by the names in the first line; rows that are cut off are left out."""
    try:
        with open(path, "rb") as file:
            head = file.readline()
            size = file.seek(0, os.SEEK_END)
            start = max(len(head), size - _TAIL)
            file.seek(start)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    if start > len(head):
        lines = lines[1:]
    names = next(csv.reader([head.decode("utf-8", "replace")]), [])
    return [
        dict(zip(names, row, strict=True)) for row in csv.reader(lines) if len(row) == len(names)
    ]


def _number(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
