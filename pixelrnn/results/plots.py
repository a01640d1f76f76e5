"""Pictures of a table: its values beside the paper's, and the learning curves of its runs."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pixelrnn import atomic
from pixelrnn.results.descriptions import PAPER
from pixelrnn.results.tables import Table

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colours of Okabe and Ito, which colour-blind people tell apart, without the pale yellow."""

STYLES = ("-", "--", ":")
"""What tells rows apart when there are more of them than colours."""


def table_plot(table: Table, path: Path) -> None:
    """Dots for the paper, squares with one standard deviation over seeds for ours.

    At another scale than the paper's the two have axes of their own: their values do not compare.
    """
    lines = [line for line in table.lines if line.command]
    places = list(range(len(lines)))[::-1]
    figure = Figure(figsize=(9, 1.2 + 0.45 * len(lines)), layout="constrained")
    published = any(line.published is not None for line in lines)
    own_axes = published and table.scale != PAPER
    axes = figure.subplots(1, 2 if own_axes else 1, sharey=True, squeeze=False)[0]
    if published:
        axes[0].plot([line.published for line in lines], places, "o", color="0.4", label="paper")
    for place, line in zip(places, lines, strict=True):
        values = table.values(line)
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            mean = statistics.fmean(values)
            axes[-1].errorbar(mean, place, xerr=spread, fmt="s", color=COLORS[0], capsize=3)
        else:
            axes[-1].annotate(
                "not run",
                (0.98, place),
                xycoords=("axes fraction", "data"),
                ha="right",
                color=COLORS[1],
            )
    axes[0].set_yticks(places, [line.name for line in lines])
    axes[0].set_ylim(-0.6, len(lines) - 0.4)
    ours = f"ours, scale={table.scale}"
    titles = ["paper", ours] if own_axes else ["paper: dots, ours: squares" if published else ours]
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=9)
        ax.set_xlabel(f"{table.unit}, {table.split}")
        ax.grid(axis="x", alpha=0.3)
    _save(figure, path)


def curves(table: Table, path: Path) -> bool:
    """Validation likelihood against steps: a line for each row, the mean of its seeds.

    Several seeds have a band from the lowest to the highest of them at every step.

    Returns:
        False if nothing has been run: no file is written.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    for index, line in enumerate(table.lines):
        runs = [learning_curve(run.folder, f"val/{table.metric}") for run in line.runs]
        band = seed_band([points for points in runs if points])
        if band is not None:
            steps, low, mean, high = band
            color, style = COLORS[index % len(COLORS)], STYLES[index // len(COLORS) % len(STYLES)]
            ax.plot(steps, mean, color=color, linestyle=style, label=line.name, lw=1.2, marker=".")
            if len(runs) > 1:
                ax.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
    if not ax.lines:
        return False
    ax.set_xlabel("step")
    ax.set_ylabel(f"{table.unit}, validation")
    ax.set_title(f"{table.source}, scale={table.scale}", fontsize=9)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    _save(figure, path)
    return True


def seed_band(
    runs: Sequence[Sequence[tuple[float, float]]],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]] | None:
    """Steps, and there the lowest value, the mean and the highest value over runs.

    Runs that were validated at other steps are interpolated; only steps that all runs have
    reached count. Seconds do as well as steps.

    Args:
        runs: (step, value) of each run, in the order of steps.

    Returns:
        None if there is no run, or no step that all have.
    """
    if not runs:
        return None
    first, last = max(run[0][0] for run in runs), min(run[-1][0] for run in runs)
    steps = np.array(sorted({step for run in runs for step, _ in run if first <= step <= last}))
    if not len(steps):
        return None
    values = np.stack(
        [np.interp(steps, [step for step, _ in run], [value for _, value in run]) for run in runs]
    )
    return steps, values.min(0), values.mean(0), values.max(0)


def learning_curve(run: Path, metric: str) -> list[tuple[int, float]]:
    """(step, value) of a metric, from metrics.csv."""
    try:
        with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
            return [
                (int(row["step"]), float(row[metric]))
                for row in csv.DictReader(file)
                if row.get(metric) and row.get("step")
            ]
    except (OSError, ValueError, csv.Error):
        return []


def _save(figure: Figure, path: Path) -> None:
    with atomic.replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
