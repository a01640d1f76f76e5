"""`pixelrnn runs by=val/bits_per_dim`: all runs, best first."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pixelrnn.arguments import Positive
from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError
from pixelrnn.results import collect
from pixelrnn.results.collect import Run, State
from pixelrnn.results.descriptions import Scale
from pixelrnn.runs import check

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(runs, argv)


def runs(
    *,
    by: str = "val/bits_per_dim",
    sweep: str | None = None,
    scale: Scale | None = None,
    state: State | None = None,
    n: Positive | None = None,
    paths: dict[str, str],
) -> list[Run]:
    """Print runs with state, likelihood and age; the lowest value of a key first.

    Args:
        by: a metric such as val/bits_per_dim, or a key of results.json such as training_seconds.
        sweep: only runs of this sweep.
        scale: only runs of this scale.
        state: only runs in this state.
        n: how many; None: all.
        paths: roots of runs and data.

    Returns:
        The runs, in the order printed.

    Raises:
        ConfigError: no finished run has such a key.
    """
    root = Path(paths["runs"])
    found = [
        run
        for run in collect.scan(root)
        if (sweep is None or sweep in run.sweeps)
        and (scale is None or run.config.get("scale_name") == (None if scale == "paper" else scale))
        and (state is None or run.state == state)
    ]
    finished = [run for run in found if run.state == "finished"]
    known = {key for run in finished for key in _numbers(run)}
    if finished and by not in known:
        raise ConfigError(f"by={by}: no such key; {check.nearest(by, sorted(known), 'by=')}")
    found.sort(key=lambda run: (_numbers(run).get(by, float("inf")), run.folder.name))
    console = Console()
    if not found:
        console.print(f"{root}: no runs", highlight=False)
        return []
    console.print(_grid(found[:n], by))
    for run in found[:n]:
        if run.message:
            console.print(f"{run.folder.name}: {run.message}", highlight=False, markup=False)
    if finished:
        best = found[0]
        console.print(f"best: {best.folder}  {by} {_numbers(best)[by]:.4g}", highlight=False)
    return found[:n]


def _numbers(run: Run) -> dict[str, float]:
    flat: dict[str, Any] = {**run.results.get("metrics", {}), **run.results}
    return {key: item for key, item in flat.items() if isinstance(item, int | float)}


def _grid(found: list[Run], by: str) -> Table:
    grid = Table(box=box.SIMPLE_HEAD)
    for heading in ("run", "state", by.replace("/", " "), "seed", "steps", "sweep", "age"):
        text = heading in ("run", "state", "sweep")
        grid.add_column(
            heading,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=heading != "run",
            min_width=7 if heading == by.replace("/", " ") else None,
        )
    for run in found:
        grid.add_row(
            run.folder.name,
            run.state,
            _shown(_numbers(run).get(by)),
            str(run.config.get("seed", "")),
            f"{run.results['steps']:,}" if "steps" in run.results else "",
            ", ".join(sorted(run.sweeps)),
            _age(run.age()),
            style=None if run.state == "finished" else "yellow",
        )
    return grid


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    return str(number) if isinstance(number, int) else f"{number:.4f}"


def _age(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
