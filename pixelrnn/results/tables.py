"""The paper's tables with ours beside them. Records of runs fill the rows that they match."""

import csv
import io
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from pixelrnn.errors import ConfigError
from pixelrnn.results import collect
from pixelrnn.results.collect import Run
from pixelrnn.runs import check

Scale = Literal["paper", "small"]

HEADER = ("row", "paper", "ours", "difference", "seeds", "steps", "weights", "minutes", "to get it")

CSV_HEADER = (
    *("table", "row", "scale", "split", "unit", "paper", "ours", "ours_stderr"),
    *("seed", "steps", "seconds", "parameters", "signature", "commit", "wandb_id"),
)


@dataclass(frozen=True)
class Line:
    """A row of a table.

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
    """A table of the paper: its lines, and what its numbers mean."""

    name: str
    scale: Scale
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
        if self.scale != "paper":
            text += (
                f" scale={self.scale}: stand-in data and small networks, so that only the order of "
                "the rows can be compared with the paper, not the values."
            )
        return text


def folder() -> Path:
    """Where the tables are described: in the installed package, or in the checkout beside it.

    Raises:
        ConfigError: in neither.
    """
    package = Path(__file__).parent.parent
    for path in (package / "tables", package.parent / "experiments" / "tables"):
        if path.is_dir():
            return path
    raise ConfigError(f"no tables folder in {package} or beside it: reinstall pixelrnn")


def names() -> list[str]:
    """All tables."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def describe(name: str) -> dict[str, Any]:
    """The description of a table, as in experiments/tables.

    Raises:
        ConfigError: no such table.
    """
    if name not in names():
        raise ConfigError(f"{name}: no such table; {check.nearest(name, names())}")
    return yaml.safe_load((folder() / f"{name}.yaml").read_text(encoding="utf-8"))


def fill(name: str, scale: Scale, runs: list[Run]) -> Table:
    """A table with what has been run.

    Args:
        name: of the table.
        scale: which of its versions.
        runs: all runs there are.

    Raises:
        ConfigError: no such table, or none at this scale.
    """
    spec = describe(name)
    if scale not in spec["scales"]:
        raise ConfigError(f"{name}: only at scale={', scale='.join(spec['scales'])}")
    common = spec["match"] | spec["scales"][scale]
    common["scale_name"] = None if scale == "paper" else scale
    lines = [
        Line(row["name"], row["published"], row.get("published_train"), row.get("sign", ""))
        for row in spec["baselines"]
    ]
    for row in spec["rows"]:
        wanted = common | row["match"] | row.get(scale, {})
        lines.append(
            _line(row, scale, [run for run in runs if collect.matches(run.config, wanted)])
        )
    about = {key: spec[key] for key in ("title", "source", "split", "metric", "unit")}
    return Table(name, scale, lines=tuple(lines), notes=tuple(spec["notes"]), **about)


def _line(row: dict[str, Any], scale: Scale, runs: list[Run]) -> Line:
    """One setting stands for a row: the longest trained, then the one with most seeds."""
    finished = [run for run in runs if run.state == "finished"]
    settings: dict[str, list[Run]] = defaultdict(list)
    for run in finished:
        settings[collect.setting(run.config)].append(run)
    chosen = max(settings.values(), key=lambda s: (_steps(s), len(s)), default=[])
    return Line(
        row["name"],
        row.get("published"),
        row.get("published_train"),
        runs=tuple({run.results["seed"]: run for run in chosen}.values()),
        others=len(finished) - len(chosen),
        unfinished=len(runs) - len(finished),
        command=f"pixelrnn train {row['overrides']}"
        + (f" scale={scale}" if scale != "paper" else ""),
    )


def _steps(runs: list[Run]) -> float:
    return statistics.median(run.results["steps"] for run in runs)


def cells(table: Table, line: Line) -> tuple[str, ...]:
    """The texts of a line, in the order of `HEADER`."""
    digits = 3 if table.metric == "bits_per_dim" else 2
    paper = "" if line.published is None else f"{line.sign}{line.published:.2f}"
    if line.published_train is not None:
        paper += f" ({line.published_train:.2f})"
    if line.command is None:
        return (line.name, paper, *[""] * (len(HEADER) - 2))
    values = table.values(line)
    if not values:
        state = f"not run ({line.unfinished} unfinished)" if line.unfinished else "not run"
        return (line.name, paper, state, "", "0", "", "", "", line.command)
    mean = statistics.fmean(values)
    ours = f"{mean:.{digits}f}"
    if len(values) > 1:
        ours += f" ± {statistics.stdev(values):.{digits}f}"
    trained = table.values(line, "train")
    if line.published_train is not None and trained:
        ours += f" ({statistics.fmean(trained):.{digits}f})"
    comparable = table.scale == "paper" and line.published is not None
    difference = f"{mean - line.published:+.{digits}f}" if comparable else "-"
    return (
        line.name,
        paper,
        ours,
        difference,
        str(len(values)),
        f"{_steps(list(line.runs)):,.0f}",
        f"{line.runs[0].results['parameters']:,}",
        f"{statistics.fmean(run.results['training_seconds'] for run in line.runs) / 60:.1f}",
        line.command + _left_out(line),
    )


def _left_out(line: Line) -> str:
    return f" (also {line.others} of another budget or setting)" if line.others else ""


def markdown(table: Table) -> str:
    """A Markdown table with its caption and notes."""
    rows = [HEADER, ("---",) * len(HEADER)]
    rows += [(*c[:-1], f"`{c[-1]}`" if c[-1] else "") for c in _all_cells(table)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([table.caption(), "", *lines, "", *notes]).rstrip() + "\n"


def latex(table: Table) -> str:
    """A LaTeX tabular without the last column; needs booktabs."""
    keep = len(HEADER) - 1
    body = [" & ".join(map(_tex, row[:keep])) + r" \\" for row in _all_cells(table)]
    return "\n".join(
        [
            f"% {table.caption()}",
            rf"\begin{{tabular}}{{l{'r' * (keep - 1)}}}",
            r"\toprule",
            " & ".join(HEADER[:keep]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def as_csv(table: Table) -> str:
    """One line for each seed, in full precision; a row that was not run has one empty line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    name = f"{table.split}/{table.metric}"
    for line in table.lines:
        start = [table.name, line.name, table.scale, table.split, table.unit, line.published]
        for run in line.runs:
            record = run.results
            cost = [record[key] for key in ("seed", "steps", "training_seconds", "parameters")]
            commit = record.get("environment", {}).get("commit")
            origin = [record["signature"], commit, record.get("wandb_id")]
            ours = [run.metric(name), run.metric(f"{name}_stderr")]
            writer.writerow([*start, *ours, *cost, *origin])
        if not line.runs:
            writer.writerow([*start, *[""] * (len(CSV_HEADER) - len(start))])
    return out.getvalue()


def _all_cells(table: Table) -> list[tuple[str, ...]]:
    return [cells(table, line) for line in table.lines]


def _tex(text: str) -> str:
    for plain, tex in (("±", r"$\pm$"), ("<=", r"$\leq$"), ("~", r"$\approx$"), ("%", r"\%")):
        text = text.replace(plain, tex)
    return text.replace("_", r"\_")
