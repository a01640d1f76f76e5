"""Draws the curves of runs on blind_spot_mesh, and prints the table of the README.

    python experiments/blind_spot/plot.py RUN [RUN ...] [out=PICTURE.png]

Without `out` the picture goes beside the first run: runs/blind_spot/blind_spot.png. The one in this
folder is only written if `out` names it.
"""

import csv
import math
import sys
from pathlib import Path
from typing import Any

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixelrnn.data import BlindSpotMesh
from pixelrnn.data.mesh import entropy


def main(words: list[str]) -> Path:
    """Draw validation likelihood against steps, one line for each run.

    Args:
        words: run folders, and out=PICTURE.png.

    Returns:
        The picture.
    """
    runs = sorted(Path(word) for word in words if not word.startswith("out="))
    outs = [Path(word.removeprefix("out=")) for word in words if word.startswith("out=")]
    if not runs or len(outs) > 1:
        sys.exit("usage: plot.py RUN [RUN ...] [out=PICTURE.png]")
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        data = _draw(axes, run)
    _draw_attainable(axes, data)
    axes.set(xlabel="training step", ylabel="validation NLL, nats per image")
    axes.set_ylim(data.entropy - 5, data.blind_entropy + 0.1 * data.entropy)
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.85))
    out = outs[0] if outs else runs[0].parent / "blind_spot.png"
    figure.savefig(out, dpi=120)
    print(out)
    return out


def _draw(axes: Axes, run: Path) -> Any:
    """One run: its line, its row of the table; returns its images."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    settings = {key: value for key, value in config["data"].items() if key != "_target_"}
    data = BlindSpotMesh(**settings).image_set
    name = config["model"]["_target_"].rpartition(".")[2]
    if full := config["model"].get("full_context"):
        name += ", full_context" + ("" if full is True else f"={full}")
    steps, nats, regret = _validation(run / "metrics.csv")
    # Row LSTM and PixelCNN lie on one another
    axes.plot(steps, nats, label=name, linestyle="--" if name == "RowLSTM" else "-")
    print(f"| {name} | {nats[-1]:.2f} | {nats[-1] - data.entropy:.2f} | {regret[-1]:.2f} |")
    return data


def _draw_attainable(axes: Axes, data: Any) -> None:
    """Dotted lines at what a model can attain that sees all, nearly all, or nothing."""
    hidden = (data.image_shape[1] - 1) * (math.log(data.levels) - entropy(data.noise_log_probs))
    levels = {
        "H W log K": data.blind_entropy,
        "without the last pixel of the row above": data.entropy + hidden,
        "entropy": data.entropy,
    }
    right = max(line.get_xdata()[-1] for line in axes.lines)
    for text, value in levels.items():
        axes.axhline(value, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f"{text} = {value:.1f}", (right, value), va="top", ha="right")


def _validation(path: Path) -> tuple[list[int], list[float], list[float]]:
    """Steps, likelihoods and regrets of every validation."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/nll")]
    columns = [[float(row[name]) for row in rows] for name in ("step", "val/nll", "val/regret")]
    assert all(map(math.isfinite, columns[1]))
    return [int(step) for step in columns[0]], columns[1], columns[2]


if __name__ == "__main__":
    main(sys.argv[1:])
