"""metrics.csv: the curves of a run, kept over interruptions.

A run that was killed may have logged more than its last checkpoint knows of. The resumed run logs
the same events again, in the same order, so the file is cut at the event that comes first.
"""

import csv
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from torch import Tensor

from pixelrnn import atomic
from pixelrnn.arguments import checked
from pixelrnn.errors import RunError

log = logging.getLogger(__name__)

_COMMON = {"step", "epoch"}
"""Columns that all rows have; they do not tell which event a row is of."""

Row = dict[str, Any]
Tell = Callable[[list[tuple[int, dict[str, float]]]], None]


class MetricsCSV(CSVLogger):
    """Lightning's CSV logger, but it keeps the file of the run that it continues.

    Args:
        save_dir: folder of metrics.csv.
    """

    @checked
    def __init__(self, save_dir: Path | str) -> None:
        super().__init__(save_dir, name="", version="")
        self._writer: _Writer | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> "_Writer":  # type: ignore[override]
        """The writer, made on first use."""
        if self._writer is None:
            self._writer = _Writer(Path(self.save_dir) / "metrics.csv")
        return self._writer

    def finalize(self, status: str) -> None:
        """Write what is new; look at the earlier rows if nothing was."""
        if self._writer is not None:
            self._writer.close()

    def log_hyperparams(self, params: Any = None) -> None:
        """Write nothing: the run's config.yaml says it all."""

    @property
    def rows(self) -> int:
        """Number of rows that the file holds; after a resume at least those it should hold."""
        return self.experiment.rows

    def resume(self, rows: int, tell: Tell | None = None) -> None:
        """Say how many rows were there when the checkpoint was written.

        Args:
            rows: how many.
            tell: is given the rows that stay, before the first new one: step, and metrics by name.
        """
        self.experiment.rows = rows
        self.experiment.tell = tell


def history(path: Path) -> list[tuple[int, dict[str, float]]]:
    """The rows of a metrics.csv: step, and metrics by name. Damaged rows are left out."""
    if not path.is_file():
        return []
    return [_logged(row) for row in _read(path)[1] if row is not None]


class _Writer:
    """Appends rows; a new column, or a resume, replaces the whole file at once.

    Args:
        path: the file.

    Raises:
        RunError: a folder is in its place.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise RunError(f"{path}: is a folder; move it away, the curves of the run go there")
        self.path = path
        self.rows = 0
        self.tell: Tell | None = None
        self._columns: list[str] = []
        self._new: list[Row] = []
        self._last: Row | None = None
        self._first = True

    def log_metrics(self, metrics: dict[str, Any], step: int) -> None:
        """Add one row; the same row twice in turn is one event (see `saving.RunCheckpoints`)."""
        row = {
            name: value.item() if isinstance(value, Tensor) else value
            for name, value in metrics.items()
        }
        row["step"] = step
        if row == self._last:
            return
        self._last = row
        if self._first:
            self._first = False
            self._continue(row)
        self._new.append(row)

    def save(self) -> None:
        """Write what is new."""
        if not self._new:
            return
        columns = sorted(set(self._columns).union(*self._new))
        if columns != self._columns:
            kept = _read(self.path)[1] if self.path.is_file() else []
            self._columns = columns
            self._replace([row for row in kept if row is not None])
        with (
            atomic.naming(self.path),
            open(self.path, "a", encoding="utf-8", newline="") as file,
        ):
            csv.DictWriter(file, fieldnames=self._columns).writerows(self._new)
        self.rows += len(self._new)
        self._new = []

    def close(self) -> None:
        """Write what is new. After a resume that logged nothing, see that all rows are there."""
        if self._first and self.rows:
            self._first = False
            self._continue(None)
        self.save()

    def _continue(self, row: Row | None) -> None:
        """Keep the rows of an earlier process that come before this one, or all."""
        expected, self.rows = self.rows, 0
        found: list[Row | None] = []
        if self.path.is_file():
            self._columns, found = _read(self.path)
            before = found if row is None else found[: _position(found, row)]
            kept = [old for old in before if old is not None]
            if len(kept) < expected:
                shutil.copyfile(self.path, f"{self.path}.damaged")
            self.rows = len(kept)
            self._replace(kept)
            if self.tell is not None:
                self.tell([_logged(old) for old in kept])
        if self.rows < expected:
            copy = f"; the file as it was is {self.path}.damaged" if found else ""
            log.warning(
                "%s: damaged; %d of its first %d rows are lost, the others are kept%s",
                self.path, expected - self.rows, expected, copy,
            )  # fmt: skip

    def _replace(self, rows: list[Row]) -> None:
        with atomic.replacing(self.path) as file:
            writer = csv.DictWriter(file, fieldnames=self._columns)
            writer.writeheader()
            writer.writerows(rows)


def _logged(row: Row) -> tuple[int, dict[str, float]]:
    """A row of the file as it was logged."""
    values = {name: float(value) for name, value in row.items() if value != "" and name != "step"}
    return int(row["step"]), values


def _position(rows: list[Row | None], new: Row) -> int:
    """Where in the file the event of this row was logged, or would have been."""
    for index, row in enumerate(rows):
        if row is None or int(row["step"]) < new["step"]:
            continue
        metrics = {name for name, value in row.items() if value != ""} - _COMMON
        if int(row["step"]) > new["step"] or metrics & new.keys():
            return index
    return len(rows)


def _read(path: Path) -> tuple[list[str], list[Row | None]]:
    """Columns and rows of a file; None for a row that is cut off or not made of numbers."""
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")
    columns = lines[0].rstrip("\r").split(",")
    if len(lines) == 1 or "step" not in columns:
        return [], [None for line in lines if line]
    last = [lines[-1]] if lines[-1] else []  # a whole row ends with a line break
    rows: list[Row | None] = [_row(columns, line.rstrip("\r")) for line in lines[1:-1]]
    return columns, rows + [None for _ in last]


def _row(columns: list[str], line: str) -> Row | None:
    values = line.split(",")
    row: Row = dict(zip(columns, values, strict=False))
    try:
        for value in values:
            float(value or 0)
        whole = len(values) == len(columns) and int(row["step"]) >= 0
    except ValueError:
        return None
    return row if whole else None
