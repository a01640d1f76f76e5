"""A table of the paper with ours beside it: finished runs fill the rows that they match."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pixelrnn.errors import ConfigError
from pixelrnn.results import collect
from pixelrnn.results.collect import Run
from pixelrnn.results.descriptions import PAPER, Row
from pixelrnn.results.rows import Catalogue


@dataclass(frozen=True)
class Line:
    """A row of a table, filled.

    Attributes:
        name: as in the paper.
        published: the paper's value, if it has one; `sign` before it ("<=", "~") or nothing.
        published_train: on training images, if the paper gives it.
        runs: finished runs that differ only in their seed.
        others: finished runs of this row with another budget or setting, left out.
        unfinished: runs of this row that are not finished.
        command: how to get the row; None for a baseline.
    """

    name: str
    published: float | None = None
    published_train: float | None = None
    sign: str = ""
    runs: tuple[Run, ...] = ()
    others: int = 0
    unfinished: int = 0
    command: str | None = None


@dataclass(frozen=True)
class Table:
    """A filled table, and what its numbers mean.

    Attributes:
        name: of the table's file.
        scale: the paper's data and sizes, or others.
        title: what the table compares.
        source: where the paper has it.
        split: the images that the numbers are of.
        metric: the metric that they are.
        unit: its unit.
        lines: baselines first, then the rows.
        notes: what a reader must know.
    """

    name: str
    scale: str
    title: str
    source: str
    split: str
    metric: str
    unit: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def values(self, line: Line, split: str | None = None) -> list[float]:
        """Ours, one for each seed."""
        found = (run.metric(f"{split or self.split}/{self.metric}") for run in line.runs)
        return [number for number in found if number is not None]

    def caption(self) -> str:
        """Everything that a reader must know about the numbers."""
        text = f"{self.source}. {self.title}. {self.unit}, {self.split} images; lower is better."
        if self.scale != PAPER:
            text += (
                f" scale={self.scale}: data or sizes that are not the paper's, so that only the "
                "order of the rows can be compared with the paper, not the values."
            )
        return text


def fill(catalogue: Catalogue, name: str, scale: str, runs: Sequence[Run]) -> Table:
    """Fill a table with what has been run.

    Args:
        catalogue: all tables there are.
        name: of the table.
        scale: which of its versions.
        runs: all runs there are.

    Raises:
        ConfigError: there is no such table, or none at this scale.
    """
    spec = catalogue.table(name)
    scales = catalogue.scales(spec)
    if scale not in scales:
        raise ConfigError(f"{name}: only at scale={', scale='.join(scales)}")
    lines = [Line(row.name, row.published, sign=row.sign) for row in spec.baselines]
    for row in spec.rows:
        wanted = catalogue.expected(spec, row, scale)
        found = [run for run in runs if wanted.matches(run.config)]
        lines.append(_line(row, catalogue.command(row, scale), found))
    return Table(
        name,
        scale,
        title=spec.title,
        source=spec.source,
        split=spec.split,
        metric=spec.metric,
        unit=spec.unit,
        lines=tuple(lines),
        notes=tuple(spec.notes),
    )


def _line(row: Row, command: str, runs: list[Run]) -> Line:
    """One setting stands for a row: the longest trained, then the one with most seeds."""
    finished = [run for run in runs if run.state == "finished"]
    settings: dict[str, list[Run]] = defaultdict(list)
    for run in finished:
        settings[collect.setting(run.config)].append(run)
    chosen = max(settings.values(), key=lambda s: (_steps(s), len(s)), default=[])
    return Line(
        row.name,
        row.published,
        row.published_train,
        runs=tuple({run.results["seed"]: run for run in chosen}.values()),
        others=len(finished) - len(chosen),
        unfinished=len(runs) - len(finished),
        command=command,
    )


def _steps(runs: list[Run]) -> float:
    return statistics.median(run.results["steps"] for run in runs)
