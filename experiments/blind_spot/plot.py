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


def main(runs: list[str]) -> None:
    """Validation likelihood against steps, one line per run."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    data = None
    for run in sorted(map(Path, runs)):
        config = yaml.safe_load((run / "config.yaml").read_text())
        settings = {key: value for key, value in config["data"].items() if key != "_target_"}
        data = BlindSpotMesh(**settings)
        name = config["model"]["_target_"].rpartition(".")[2]
        steps, nats, regret = _validation(run / "metrics.csv")
        axes.plot(steps, nats, label=name)
        print(f"| {name} | {nats[-1]:.2f} | {nats[-1] - data.entropy:.2f} | {regret[-1]:.2f} |")
    for value, text in ((data.blind_entropy, "H W log K"), (data.entropy, "entropy")):
        axes.axhline(value, color="black", linewidth=0.8, linestyle=":")
        axes.annotate(f"{text} = {value:.1f}", (steps[-1], value), va="bottom", ha="right")
    axes.set(xlabel="training step", ylabel="validation NLL, nats per image")
    axes.set_ylim(data.entropy - 5, data.blind_entropy + 0.1 * data.entropy)
    axes.legend(loc="center left")
    figure.savefig(Path(__file__).with_name("blind_spot.png"), dpi=120)


def _validation(path: Path) -> tuple[list[int], list[float], list[float]]:
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/nll")]
    columns = [[float(row[name]) for row in rows] for name in ("step", "val/nll", "val/regret")]
    assert all(map(math.isfinite, columns[1]))
    return [int(step) for step in columns[0]], columns[1], columns[2]


if __name__ == "__main__":
    main(sys.argv[1:])
