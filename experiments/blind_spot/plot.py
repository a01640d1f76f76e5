"""Draws blind_spot.png and prints the table of the README: `python plot.py RUN [RUN ...]`."""

import csv
import math
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import yaml

from pixelrnn.data import BlindSpotMesh
from pixelrnn.data.mesh import entropy


def main(runs: list[str]) -> None:
    """Validation likelihood against steps, one line per run."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    data = None
    for run in sorted(map(Path, runs)):
        config = yaml.safe_load((run / "config.yaml").read_text())
        settings = {key: value for key, value in config["data"].items() if key != "_target_"}
        data = BlindSpotMesh(**settings).image_set
        name = config["model"]["_target_"].rpartition(".")[2]
        if config["model"].get("full_context"):
            name += ", full_context"
        steps, nats, regret = _validation(run / "metrics.csv")
        # Row LSTM and PixelCNN lie on one another
        axes.plot(steps, nats, label=name, linestyle="--" if name == "RowLSTM" else "-")
        print(f"| {name} | {nats[-1]:.2f} | {nats[-1] - data.entropy:.2f} | {regret[-1]:.2f} |")
    hidden = (data.image_shape[1] - 1) * (math.log(data.levels) - entropy(data.noise_log_probs))
    levels = {
        "H W log K": data.blind_entropy,
        "without the last pixel of the row above": data.entropy + hidden,
        "entropy": data.entropy,
    }
    for text, value in levels.items():
        axes.axhline(value, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f"{text} = {value:.1f}", (steps[-1], value), va="top", ha="right")
    axes.set(xlabel="training step", ylabel="validation NLL, nats per image")
    axes.set_ylim(data.entropy - 5, data.blind_entropy + 0.1 * data.entropy)
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.85))
    figure.savefig(Path(__file__).with_name("blind_spot.png"), dpi=120)


def _validation(path: Path) -> tuple[list[int], list[float], list[float]]:
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/nll")]
    columns = [[float(row[name]) for row in rows] for name in ("step", "val/nll", "val/regret")]
    assert all(map(math.isfinite, columns[1]))
    return [int(step) for step in columns[0]], columns[1], columns[2]


if __name__ == "__main__":
    main(sys.argv[1:])
