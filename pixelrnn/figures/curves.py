"""Learning curves of several runs: a panel for each data set, a line for each setting.

No torch: thousands of runs are read in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixelrnn.arguments import StyleName
from pixelrnn.figures import styles
from pixelrnn.results import collect, listing, plots
from pixelrnn.results.collect import Run

Against = Literal["steps", "seconds"]


@dataclass(frozen=True)
class Line:
    """The curve of one setting.

    Attributes:
        label: what tells it from the other lines.
        data_set: likelihoods of different data never share a panel.
        seeds: number of runs, which differ in their seed only.
        x: optimiser steps, or seconds of training.
        low: the lowest value of all seeds there.
        mean: their mean.
        high: the highest.
    """

    label: str
    data_set: str
    seeds: int
    x: np.ndarray
    low: np.ndarray
    mean: np.ndarray
    high: np.ndarray


def lines(
    runs: Sequence[Run], metric: str = "val/bits_per_dim", against: Against = "steps"
) -> list[Line]:
    """Read the curves of runs; those that differ in nothing but their seed become one line.

    Args:
        runs: run folders, from `collect.look` or `collect.scan`.
        metric: a column of metrics.csv.
        against: what x is. Seconds are those of the whole training, spread evenly over its steps,
            so they are known of finished runs only.

    Returns:
        The lines, in the order of the runs; a run without such a curve has none.
    """
    data_sets = {
        entry.run.folder: name
        for name, entries in listing.by_data_set(runs, metric).items()
        for entry in entries
    }
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        key = data_sets[run.folder], collect.setting(run.config)
        groups.setdefault(key, []).append(run)
    alike: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        alike.setdefault((data_sets[run.folder], run.label), []).append(run)
    found = []
    for (data_set, _), group in groups.items():
        curves = [points for run in group if (points := _points(run, metric, against))]
        band = plots.seed_band(curves)
        if band is not None:
            label = _label(group[0], alike[data_set, group[0].label])
            found.append(Line(label, data_set, len(curves), *band))
    return found


def figure(
    found: Sequence[Line],
    metric: str = "val/bits_per_dim",
    against: Against = "steps",
    *,
    logarithmic: bool = False,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw learning curves; several seeds have a band from the lowest to the highest.

    Args:
        found: from `lines`, at least one.
        metric: what they are, for the axis.
        against: what x is.
        logarithmic: whether x is drawn on a logarithmic scale.
        name: of the runs, for the title.
        style: the background, "light" or "dark".
    """
    look = styles.STYLES[style]
    data_sets = list(dict.fromkeys(line.data_set for line in found))
    drawn, axes = styles.panels(look, 1, len(data_sets), (0.5 + 5.5 * len(data_sets), 4.6))
    for ax, data_set in zip(axes[0], data_sets, strict=True):
        for index, line in enumerate(line for line in found if line.data_set == data_set):
            _draw(ax, look, line, index)
        ax.set(xlabel="step" if against == "steps" else "seconds of training", ylabel=_unit(metric))
        if logarithmic:
            ax.set_xscale("log")
        styles.heading(ax, look, data_set)
        styles.gridlines(ax, look)
        styles.legend(ax, look)
    head = f"{name}: " if name else ""
    styles.title(drawn, look, f"{head}learning curves")
    return drawn


def metrics(runs: Sequence[Run]) -> set[str]:
    """The names of all curves that runs have."""
    found: set[str] = set()
    for run in runs:
        try:
            with open(run.folder / "metrics.csv", encoding="utf-8", errors="replace") as file:
                found.update(file.readline().strip().split(","))
        except OSError:
            continue
    return found - {"step", "epoch", ""}


def _draw(ax: Axes, look: styles.Style, line: Line, index: int) -> None:
    color = look.colors[index % len(look.colors)]
    dashes = styles.LINES[index // len(look.colors) % len(styles.LINES)]
    seeds = f" ({line.seeds} seeds)" if line.seeds > 1 else ""
    marker = "." if len(line.x) <= 50 else None
    ax.plot(
        line.x,
        line.mean,
        color=color,
        linestyle=dashes,
        marker=marker,
        linewidth=1.5,
        label=f"{line.label}{seeds}: {line.mean[-1]:.4g}",
    )
    if line.seeds > 1:
        ax.fill_between(line.x, line.low, line.high, color=color, alpha=0.25, linewidth=0)


def _points(run: Run, metric: str, against: Against) -> list[tuple[float, float]]:
    points = plots.learning_curve(run.folder, metric)
    each = 1.0
    if against == "seconds":
        if not run.results.get("steps"):
            return []
        each = run.results["training_seconds"] / run.results["steps"]
    return [((step + 1) * each, value) for step, value in points]  # steps count from 0


def _label(run: Run, others: list[Run]) -> str:
    """The model, and the settings in which it differs from other runs of such a model."""
    settings = collect.flat(run.config)
    model = run.label.partition("-")[2] or run.label
    differing = [
        f"{key.rpartition('.')[2]} {settings[key]}"
        for key in collect.varied(others)
        if key in settings
    ]
    return ", ".join([model, *differing])


def _unit(metric: str) -> str:
    split, _, what = metric.partition("/")
    units = {"bits_per_dim": "bits/dim", "nll": "nats per image"}
    names = {"val": "validation", "train": "training"}
    return f"{names.get(split, split)}, {units.get(what, what.replace('_', ' '))}"
