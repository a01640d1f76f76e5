"""Sampling: incremental against the oracle, cost against image height, arithmetic, same images.

    python -m benchmarks.sampling [--quick]

The oracle (the whole network for every sub-pixel) is timed on the first sub-pixels of an image and
multiplied; all its sub-pixels cost the same. Both use the same likelihood, source and batch. The
oracle takes one or all of torch's threads, whichever was faster in that round; the incremental walk
takes as many as `generation.threads` gives it. Rounds of both are interleaved in one process;
medians, with the smallest and largest ratio.
"""

import argparse
import contextlib
import itertools
import statistics
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import report
from pixelrnn.generation import raster, reference, threads
from pixelrnn.generation.sources import Draw, Position
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.models.base import PixelModel

MODELS = (PixelCNN, RowLSTM, DiagonalBiLSTM)
WIDTH = 32
HEIGHTS = (16, 32, 64)


class Enough(Exception):
    """The oracle has done what is timed of it."""


def seeded() -> Draw:
    return Draw(torch.Generator().manual_seed(0))


def make(kind: type[PixelModel], height: int, options: argparse.Namespace) -> PixelModel:
    torch.manual_seed(0)
    model = kind((3, height, WIDTH), hidden=options.hidden, layers=options.layers)
    return model.eval()


def oracle_seconds(model: PixelModel, batch: int, count: int) -> float:
    """Of one sub-pixel of a batch: the median of `count`."""
    draw = seeded()
    ends = [time.perf_counter()]

    def timed(log_probs: torch.Tensor, position: Position) -> torch.Tensor:
        symbols = draw(log_probs, position)
        ends.append(time.perf_counter())
        if len(ends) > count:
            raise Enough
        return symbols

    with contextlib.suppress(Enough):
        reference.generate(model, batch, timed)
    return statistics.median(after - before for before, after in itertools.pairwise(ends))


def walk_seconds(model: PixelModel, batch: int) -> tuple[float, float]:
    """Of all images of a batch, and the median of its rows divided by their pixels."""
    ends = [time.perf_counter()]
    raster.generate(model, batch, seeded(), on_row=lambda *_: ends.append(time.perf_counter()))
    rows = [after - before for before, after in itertools.pairwise(ends[1:])]
    return ends[-1] - ends[0], statistics.median(rows) / WIDTH


def against_oracle(kind: type[PixelModel], options: argparse.Namespace) -> dict[str, Any]:
    model = make(kind, WIDTH, options)
    symbols = 3 * WIDTH * WIDTH
    oracle_seconds(model, options.batch, 1)
    oracle, walk = [], []
    for _ in range(options.rounds):
        of_threads = []
        for count in {1, torch.get_num_threads()}:
            with threads.limited(count):
                of_threads.append(oracle_seconds(model, options.batch, options.oracle))
        oracle.append(symbols * min(of_threads))
        walk.append(walk_seconds(model, options.batch)[0])
    ratios = [slow / fast for slow, fast in zip(oracle, walk, strict=True)]
    return {
        "oracle_s": statistics.median(oracle),
        "incremental_s": statistics.median(walk),
        "ratio": statistics.median(ratios),
        "ratio_spread": [min(ratios), max(ratios)],
        "threads": threads.sensible(model, options.batch),
    }


def by_height(kind: type[PixelModel], options: argparse.Namespace) -> dict[str, Any]:
    models = {height: make(kind, height, options) for height in HEIGHTS}
    pixel = {height: [] for height in HEIGHTS}
    for _ in range(options.rounds):
        for height, model in models.items():
            pixel[height].append(walk_seconds(model, options.batch)[1])
    ratios = {
        height: [now / base for now, base in zip(pixel[height], pixel[WIDTH], strict=True)]
        for height in HEIGHTS
    }
    return {
        "ms_per_pixel": {h: 1e3 * statistics.median(seconds) for h, seconds in pixel.items()},
        "against_32": {h: statistics.median(ratio) for h, ratio in ratios.items()},
        "against_32_spread": {h: [min(ratio), max(ratio)] for h, ratio in ratios.items()},
    }


def addmm_flops(_: Any, a: torch.Size, b: torch.Size, **__: Any) -> int:
    """Of `addmm_`, which torch's counter leaves out: it counts `addmm` only."""
    return 2 * a[0] * a[1] * b[1]


def arithmetic(kind: type[PixelModel], options: argparse.Namespace) -> dict[str, Any]:
    """Multiplications and additions of products, masked ones too, of 8 rows."""
    model = make(kind, 8, options)
    counts = []
    for run in (
        lambda: model.conditionals(torch.zeros(1, 3, 8, WIDTH, dtype=torch.uint8)),
        lambda: raster.generate(model, 1, seeded()),
    ):
        counter = FlopCounterMode(
            display=False, custom_mapping={torch.ops.aten.addmm_: addmm_flops}
        )
        with counter, torch.no_grad():
            run()
        counts.append(counter.get_total_flops())
    forward, walk = counts
    return {"forward_flop": forward, "walk_flop": walk, "ratio": walk / forward}


def same_images(kind: type[PixelModel], count: int) -> dict[str, Any]:
    """Float32, h = 32, 8x8x3, 256 levels: images that both draw from the same uniforms."""
    torch.manual_seed(0)
    model = kind((3, 8, 8), hidden=32, layers=2, head_width=64).eval()
    with threads.limited(1):
        walk = raster.generate(model, count, seeded())
        oracle = reference.generate(model, count, seeded())
    same = int((walk == oracle).flatten(1).all(1).sum())
    return {"same": same, "of": count}


def measure(kind: type[PixelModel], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "model": kind.__name__,
        "against_oracle": against_oracle(kind, options),
        "by_height": by_height(kind, options),
        "arithmetic": arithmetic(kind, options),
        "same_images": same_images(kind, options.images),
    }


def show(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    table = Table(
        title=f"Sampling {options.batch} images of {WIDTH}x{WIDTH}x3, h={options.hidden}, "
        f"{options.layers} layers, float32"
    )
    heads = ("model", "threads", "oracle s*", "incremental s", "ratio", "ms/pixel at H=16, 32, 64")
    for head in (*heads, "against H=32", "FLOP / forward", "same images"):
        table.add_column(head)
    for row in rows:
        oracle, height = row["against_oracle"], row["by_height"]
        low, high = oracle["ratio_spread"]
        table.add_row(
            row["model"],
            str(oracle["threads"]),
            f"{oracle['oracle_s']:.0f}",
            f"{oracle['incremental_s']:.1f}",
            f"{oracle['ratio']:.0f} ({low:.0f}-{high:.0f})",
            ", ".join(f"{ms:.2f}" for ms in height["ms_per_pixel"].values()),
            ", ".join(f"{ratio:.2f}" for ratio in height["against_32"].values()),
            f"{row['arithmetic']['ratio']:.2f}",
            "{same} of {of}".format(**row["same_images"]),
        )
    console = Console(width=160)
    console.print(table)
    console.print(f"* {options.oracle} sub-pixels timed per round, multiplied to a whole image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small network, one round")
    options = parser.parse_args()
    sizes = {"hidden": 128, "layers": 12, "batch": 16, "rounds": 3, "oracle": 3, "images": 64}
    if options.quick:
        sizes = {"hidden": 16, "layers": 2, "batch": 4, "rounds": 1, "oracle": 2, "images": 8}
    options = argparse.Namespace(**sizes)
    rows = [measure(kind, options) for kind in MODELS]
    show(rows, options)
    path = report.write("sampling", {"settings": sizes, "rows": rows})
    print(f"written: {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
