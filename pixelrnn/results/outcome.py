"""The closing table of a multirun: the settings that vary over its jobs, and what came of them."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from pixelrnn.results import collect, grid
from pixelrnn.results.membership import Note

METRICS = ("val/bits_per_dim", "test/bits_per_dim")


def show(console: Console, notes: Sequence[Note]) -> None:
    """Print one row for each job, in the order of the jobs.

    Args:
        console: where to.
        notes: of the jobs, from `membership.read`.
    """
    if notes:
        styles = ["red" if note.state in ("failed", "killed") else None for note in notes]
        grid.show(console, *table(notes), styles)


def table(notes: Sequence[Note]) -> tuple[list[grid.Column], list[list[str]]]:
    """Columns and rows: job, state, every setting that varies, likelihoods, run folder.

    Args:
        notes: of the jobs.
    """
    words = [_settings(note.job) for note in notes]
    keys = [
        key
        for key in dict.fromkeys(key for settings in words for key in settings)
        if len({settings.get(key) for settings in words}) > 1
    ]
    records = [_metrics(note) for note in notes]
    measured = [name for name in METRICS if any(name in metrics for metrics in records)]
    columns = [grid.Column("job", number=True), grid.Column("state")]
    columns += [grid.Column(key) for key in keys]
    columns += [grid.Column(name.replace("/", " "), number=True) for name in measured]
    columns += [grid.Column("run", spare=1)]
    rows = [
        [
            str(note.number),
            note.state,
            *(settings.get(key, "") for key in keys),
            *(f"{metrics[name]:.4f}" if name in metrics else "" for name in measured),
            note.run.name if note.run is not None else "",
        ]
        for note, settings, metrics in zip(notes, words, records, strict=True)
    ]
    return columns, rows


def _settings(job: list[str]) -> dict[str, str]:
    """Key -> value as written; the last word about a key counts."""
    pairs = (word.partition("=") for word in job)
    return {key.lstrip("+"): value for key, _, value in pairs}


def _metrics(note: Note) -> dict[str, Any]:
    if note.run is None or not note.run.is_dir():
        return {}
    run = collect.look(note.run)
    return {} if run is None else run.results.get("metrics", {})
