"""A line of a table as short texts, one for each column; Markdown and the terminal show these."""

import statistics

from pixelrnn.results.descriptions import PAPER
from pixelrnn.results.tables import Line, Table

HEADER = ("row", "paper", "ours", "difference", "seeds", "steps", "weights", "minutes", "to get it")


def cells(table: Table, line: Line) -> tuple[str, ...]:
    """The texts of a line, in the order of `HEADER`.

    Ours is the mean and, for several seeds, the standard deviation; in brackets, as in the paper,
    the value on training images. Steps are the median, minutes the mean of the seeds.
    """
    paper = "" if line.published is None else f"{line.sign}{line.published:.2f}"
    if line.published_train is not None:
        paper += f" ({line.published_train:.2f})"
    if line.command is None:
        return (line.name, paper, *[""] * (len(HEADER) - 2))
    values = table.values(line)
    if not values:
        state = f"not run ({line.unfinished} unfinished)" if line.unfinished else "not run"
        return (line.name, paper, state, "", "0", "", "", "", line.command)
    records = [run.results for run in line.runs]
    seconds = statistics.fmean(record["training_seconds"] for record in records)
    return (
        line.name,
        paper,
        _ours(table, line, values),
        _difference(table, line, values),
        str(len(values)),
        f"{statistics.median(record['steps'] for record in records):,.0f}",
        f"{records[0]['parameters']:,}",
        f"{seconds / 60:.1f}",
        line.command,
    )


def left_out(line: Line) -> str:
    """How many runs of this row are not in its values, in words; empty if there are none."""
    return f"also {line.others} of another budget or setting" if line.others else ""


def _ours(table: Table, line: Line, values: list[float]) -> str:
    digits = _digits(table)
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    trained = table.values(line, "train")
    if line.published_train is not None and trained:
        text += f" ({statistics.fmean(trained):.{digits}f})"
    return text


def _difference(table: Table, line: Line, values: list[float]) -> str:
    if table.scale != PAPER or line.published is None:
        return "-"
    return f"{statistics.fmean(values) - line.published:+.{_digits(table)}f}"


def _digits(table: Table) -> int:
    return 3 if table.metric == "bits_per_dim" else 2
