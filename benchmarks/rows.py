"""Training and sampling speed of the rows of a table, in turns in one process, one thread.

    python -m benchmarks.rows TABLE [--scale paper|small] [--seconds 120] [--turns 5]

A step is forward, backward and the optimiser's. From its median follows how many steps a row may
take for `--seconds` of training: so rows are compared at equal training time on a machine whose
speed drifts, as all rows drift alike.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import report
from pixelrnn import threads
from pixelrnn.arguments import Split
from pixelrnn.cli import compose
from pixelrnn.data.base import PixelDataModule
from pixelrnn.likelihood.units import bits_per_dim
from pixelrnn.models.base import ImageDistribution
from pixelrnn.results import rows
from pixelrnn.training import parts, settings

SAMPLED = 64
"""Images drawn together, as `pixelrnn sample` does."""


class Candidate:
    """One row of a table: its model, its optimiser, and one batch of its data.

    Args:
        name: of the row.
        words: of the command that trains it.
        split: where the batch comes from.
    """

    def __init__(self, name: str, words: list[str], split: Split = "val") -> None:
        config = settings.checked(compose.composed(words))
        data: PixelDataModule = parts.build("data", config["data"], PixelDataModule)
        module = parts.module(parts.filled(config, data))
        self.name = name
        self.model: ImageDistribution = module.model
        self.optimizer = module.optimizer(self.model.parameters())
        self.images = torch.from_numpy(data.images(split)[: data.batch_size].copy())
        found = data.labels(split) if self.model.classes else None
        self.labels = None if found is None else torch.from_numpy(found[: data.batch_size].copy())

    def step(self) -> None:
        """One training step."""
        log_prob = self.model.log_prob(self.images, self.labels)
        self.optimizer.zero_grad()
        bits_per_dim(log_prob, self.model.image_shape).mean().backward()
        self.optimizer.step()

    def sample_seconds(self) -> float:
        """Of one batch of samples."""
        labels = None if self.labels is None else torch.zeros(SAMPLED, dtype=torch.int64)
        generator = torch.Generator().manual_seed(0)
        start = time.perf_counter()
        self.model.sample(SAMPLED, labels, generator)
        return time.perf_counter() - start


def measure(candidates: list[Candidate], turns: int, seconds: float) -> list[dict[str, Any]]:
    """One line for each row: parameters, speed, and the steps that it may take."""
    with threads.limited(1):
        times = report.interleave({one.name: one.step for one in candidates}, turns)
        drawn = report.interleave({one.name: one.sample_seconds for one in candidates}, 2)
    first = times[candidates[0].name]
    return [
        {
            "row": one.name,
            "parameters": sum(weight.numel() for weight in one.model.parameters()),
            "step, s": report.Spread.of(times[one.name]),
            "of the first row's": report.ratios(times[one.name], first),
            "training, images/s": len(one.images) / report.Spread.of(times[one.name]).median,
            "sampling, images/s": SAMPLED / report.Spread.of(drawn[one.name]).median,
            f"steps in {seconds:g} s": int(seconds / report.Spread.of(times[one.name]).median),
        }
        for one in candidates
    ]


def main() -> None:
    """Measure the rows of a table, print and store them."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("table")
    options.add_argument("--scale", default="paper", choices=("paper", "small"))
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--out", type=Path, help="JSON file; default: results/rows-TABLE.json")
    given = options.parse_args()
    catalogue = rows.load()
    candidates = [
        Candidate(row.name, catalogue.command(row, given.scale).split()[2:])
        for row in catalogue.table(given.table).rows
    ]
    lines = measure(candidates, given.turns, given.seconds)
    out = given.out or report.RESULTS / f"rows-{given.table}.json"
    report.finish(f"{given.table}: {catalogue.table(given.table).title}", lines, out)


if __name__ == "__main__":
    main()
