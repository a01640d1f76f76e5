"""Pictures of a table: its values beside the paper's, and the learning curves of its runs."""

import csv
import statistics
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from pixelrnn import atomic
from pixelrnn.results.tables import Table

mpl.use("Agg")


def table_plot(table: Table, path: Path) -> None:
    """Dots for the paper, squares with one standard deviation over seeds for ours.

    At another scale than the paper's the two have axes of their own: their values do not compare.
    """
    lines = [line for line in table.lines if line.command]
    places = list(range(len(lines)))[::-1]
    figure = Figure(figsize=(9, 1.2 + 0.45 * len(lines)), layout="constrained")
    published = any(line.published is not None for line in lines)
    own_axes = published and table.scale != "paper"
    axes = figure.subplots(1, 2 if own_axes else 1, sharey=True, squeeze=False)[0]
    if published:
        axes[0].plot([line.published for line in lines], places, "o", color="0.4", label="paper")
    for place, line in zip(places, lines, strict=True):
        values = table.values(line)
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            mean = statistics.fmean(values)
            axes[-1].errorbar(mean, place, xerr=spread, fmt="s", color="C0", capsize=3)
        else:
            axes[-1].annotate(
                "not run", (0.98, place), xycoords=("axes fraction", "data"), ha="right", color="C3"
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
    """Validation likelihood of every run against steps; False if nothing has been run."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    ax = figure.subplots()
    for index, line in enumerate(table.lines):
        for number, run in enumerate(line.runs):
            points = learning_curve(run.folder, f"val/{table.metric}")
            if points:
                label = line.name if number == 0 else None
                ax.plot(
                    *zip(*points, strict=True),
                    color=f"C{index % 10}",
                    label=label,
                    lw=1,
                    marker=".",
                )
    if not ax.lines:
        return False
    ax.set_xlabel("step")
    ax.set_ylabel(f"{table.unit}, validation")
    ax.set_title(f"{table.source}, scale={table.scale}", fontsize=9)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    _save(figure, path)
    return True


def learning_curve(run: Path, metric: str) -> list[tuple[int, float]]:
    """(step, value) of a metric, from metrics.csv."""
    try:
        with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
            return [
                (int(row["step"]), float(row[metric]))
                for row in csv.DictReader(file)
                if row.get(metric) and row.get("step")
            ]
    except (FileNotFoundError, ValueError):
        return []


def _save(figure: Figure, path: Path) -> None:
    with atomic.replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=110)
