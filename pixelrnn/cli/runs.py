"""`pixelrnn runs by=val/bits_per_dim`: all runs, best first, each data set by itself."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from pixelrnn.arguments import Positive
from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError
from pixelrnn.results import collect, grid, listing
from pixelrnn.results.collect import Run, State
from pixelrnn.results.descriptions import PAPER
from pixelrnn.results.listing import Entry
from pixelrnn.runs import check

DEFAULT = "val/bits_per_dim"  # runs that never validate are listed without it
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(runs, argv)


def runs(
    *,
    by: str = DEFAULT,
    data: str | None = None,
    model: str | None = None,
    sweep: str | None = None,
    scale: str | None = None,
    state: State | None = None,
    n: Positive | None = None,
    format: Literal["table", "csv", "json"] = "table",
    paths: dict[str, str],
) -> list[Run]:
    """List runs with state, likelihood and age, the best first, each data set by itself.

    Args:
        by: a metric such as val/bits_per_dim, or a number of the record such as training_seconds;
            the lowest comes first.
        data: only runs on these data, such as digits; * and ? stand for any letters.
        model: only runs of this model, such as row_lstm; * and ? stand for any letters.
        sweep: only runs of this sweep; settings that vary in it are shown.
        scale: only runs of this scale.
        state: only runs in this state.
        n: how many of each data set; null: all.
        format: a table to read, or all that is known as CSV or JSON.
        paths: roots of runs and data.

    Returns:
        The runs, in the order printed.

    Raises:
        ConfigError: no run has such a number.
    """
    everything = collect.scan(Path(paths["runs"]))
    wanted = {"data": data, "model": model, "sweep": sweep, "scale": scale, "state": state}
    found = [run for run in everything if _is_wanted(run, wanted)]
    groups = listing.by_data_set(found, by)
    _check_key(by, [entry for entries in groups.values() for entry in entries])
    groups = {name: entries[:n] for name, entries in groups.items()}
    varied = collect.varied(found) if sweep is not None else []
    if format == "table":
        _print(groups, by, varied, _nothing(paths["runs"], everything, wanted))
    else:
        _write(groups, varied or collect.varied(found), format)
    return [entry.run for entries in groups.values() for entry in entries]


def _is_wanted(run: Run, wanted: dict[str, str | None]) -> bool:
    sweep, scale, state = wanted["sweep"], wanted["scale"], wanted["state"]
    return (
        (sweep is None or sweep in run.sweeps)
        and (scale is None or run.config.get("scale_name") == (None if scale == PAPER else scale))
        and (state is None or run.state == state)
        and all(
            listing.is_named(run, part, pattern)
            for part in ("data", "model")
            if (pattern := wanted[part]) is not None
        )
    )


def _check_key(by: str, entries: list[Entry]) -> None:
    known = {key for entry in entries for key in (*entry.numbers, *entry.progress.last)}
    if known and by not in known and by != DEFAULT:
        raise ConfigError(f"by={by}: no such key; {check.nearest(by, sorted(known), 'by=')}")


def _nothing(root: str, everything: list[Run], wanted: dict[str, str | None]) -> str:
    """What to say if there is nothing to list: the names that there are."""
    asked = " ".join(f"{key}={value}" for key, value in wanted.items() if value is not None)
    if not everything or not asked:
        return f"{root}: no runs"
    there = {
        "data": {run.label.partition("-")[0] for run in everything},
        "model": {run.label.partition("-")[2] for run in everything},
        "sweep": {sweep for run in everything for sweep in run.sweeps},
    }
    lists = [
        f"{key}: {', '.join(sorted(names))}"
        for key, names in there.items()
        if wanted[key] is not None and names
    ]
    return f"{root}: no runs with {asked}" + "".join(f"; {text}" for text in lists)


def _print(groups: dict[str, list[Entry]], by: str, varied: Sequence[str], nothing: str) -> None:
    console = Console()
    if not groups:
        console.print(nothing, highlight=False, markup=False, soft_wrap=True)
    for name, entries in groups.items():
        if len(groups) > 1:
            console.print(name, style="bold", highlight=False, markup=False)
        styles = [None if entry.run.state == "finished" else "yellow" for entry in entries]
        rows = [_cells(entry, by, varied) for entry in entries]
        grid.show(console, _columns(by, varied), rows, styles)
        for run in (entry.run for entry in entries):
            if run.message:
                text = f"{run.folder.name}: {run.message}"
                console.print(text, highlight=False, markup=False, soft_wrap=True)
        best = entries[0]
        if by in best.numbers:
            text = f"best on {name}: {best.run.folder}  {by} {best.numbers[by]:.4g}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)


def _columns(by: str, varied: Sequence[str]) -> list[grid.Column]:
    return [
        grid.Column("run"),
        grid.Column("state"),
        grid.Column(by.replace("/", " "), number=True),
        *(grid.Column(key, number=True) for key in varied),
        grid.Column("seed", number=True, spare=1),
        grid.Column("steps", number=True, spare=2),
        grid.Column("sweep", wraps=True, spare=4),
        grid.Column("age", number=True, spare=3),
    ]


def _cells(entry: Entry, by: str, varied: Sequence[str]) -> list[str]:
    run, settings = entry.run, collect.flat(entry.run.config)
    value = _shown(entry.numbers.get(by))
    if not value and by in entry.progress.last:
        value = f"{_shown(entry.progress.last[by])} so far"
    return [
        run.folder.name,
        run.state,
        value,
        *(_shown(_short(key, settings.get(key))) for key in varied),
        _shown(run.config.get("seed")),
        entry.steps,
        " ".join(sorted(run.sweeps)),
        _age(run.age()),
    ]


def _write(groups: dict[str, list[Entry]], varied: Sequence[str], format: str) -> None:
    records = listing.records(groups, varied)
    if format == "json":
        json.dump(records, sys.stdout, indent=2, default=str)
        print()
        return
    flat = [
        record
        | {"sweeps": " ".join(record["sweeps"])}
        | record.pop("settings")
        | record.pop("metrics")
        for record in records
    ]
    keys = dict.fromkeys(
        key for record in flat for key in record if key not in ("settings", "metrics")
    )
    writer = csv.DictWriter(sys.stdout, keys, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _shown(item: Any) -> str:
    if item is None:
        return ""
    return f"{item:.4f}" if isinstance(item, float) else str(item)


def _short(key: str, item: Any) -> Any:
    """A class without its module."""
    return str(item).rpartition(".")[2] if key.endswith("_target_") else item


def _age(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
