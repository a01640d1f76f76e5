"""Sampling: incremental against the oracle, by height, arithmetic, same images; completions.

    python -m benchmarks.sampling [--quick] [--only TEXT] [--device cuda] [--out FILE]

The oracle (the whole network for every sub-pixel) is timed on the first sub-pixels of an image and
multiplied; all its sub-pixels cost the same. Both use the same likelihood, source and batch. The
oracle takes one or all of torch's threads, whichever was faster in that turn; the incremental walk
takes as many as `generation.raster` gives it. Turns of both are interleaved in one process. Cost
against height is in the processor's time on one thread, which other processes disturb less.

So are completions of small images, as `pixelrnn complete` draws them: the draws of all images
together, which share what is known, against each draw walked by itself. `benchmarks.completions`
compares them with those of an earlier commit.
"""

import contextlib
import itertools
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import report
from pixelrnn import threads
from pixelrnn.generation import raster, reference
from pixelrnn.generation.sources import Draw, Position, for_images
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from pixelrnn.models.causal import CausalModel
from pixelrnn.models.stack import StackModel
from pixelrnn.ops import timing

MODELS = (PixelCNN, GatedPixelCNN, PixelSNAIL, RowLSTM, DiagonalBiLSTM)
TIMES_ORACLE = {GatedPixelCNN: 500, PixelSNAIL: 500}
"""How many times as fast as the oracle a model should be; the models of the paper, 1000 times."""
WIDTH = 32
HEIGHTS = (16, 32, 64)
COMPLETED, DRAWS = 8, 4  # images, and completions of each
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Sizes:
    """What is measured; by default the paper's sizes, with h = 128 and 12 layers for all models."""

    hidden: int = 128
    layers: int = 12
    batch: int = 16
    turns: int = 3
    oracle: int = 2  # sub-pixels timed in each turn
    images: int = 64  # drawn by both
    device: torch.device = report.CPU


QUICK = Sizes(hidden=16, layers=2, batch=4, turns=1, oracle=2, images=4)


class Enough(Exception):
    """The oracle has done what is timed of it."""


def seeded() -> Draw:
    return Draw(torch.Generator().manual_seed(0))


def make(kind: type[StackModel], height: int, sizes: Sizes) -> CausalModel:
    torch.manual_seed(0)
    model = kind((3, height, WIDTH), hidden=sizes.hidden, layers=sizes.layers)
    return model.eval().to(sizes.device)


def oracle_seconds(model: CausalModel, sizes: Sizes) -> float:
    """Of one sub-pixel of a batch: the median of those timed, on one or all threads."""
    draw = seeded()

    def timed(log_probs: torch.Tensor, position: Position) -> torch.Tensor:
        symbols = draw(log_probs, position)
        timing.wait_for(sizes.device)()
        ends.append(time.perf_counter())
        if len(ends) > sizes.oracle:
            raise Enough
        return symbols

    medians = []
    for count in {1, torch.get_num_threads()}:
        with threads.limited(count), contextlib.suppress(Enough):
            ends = [time.perf_counter()]
            reference.generate(model, sizes.batch, timed)
        medians.append(statistics.median(b - a for a, b in itertools.pairwise(ends)))
    return min(medians)


def walk_seconds(model: CausalModel, sizes: Sizes) -> float:
    """Of a whole batch of images."""
    start = time.perf_counter()
    raster.generate(model, sizes.batch, seeded())
    timing.wait_for(sizes.device)()
    return time.perf_counter() - start


def pixel_seconds(model: CausalModel, sizes: Sizes) -> float:
    """Processor time of one pixel of a batch: the median over rows but the first.

    On a GPU it is the time that passes.
    """
    ends: list[float] = []
    clock = time.process_time if sizes.device.type == "cpu" else time.perf_counter

    def row_is_done(*_: Any) -> None:
        timing.wait_for(sizes.device)()
        ends.append(clock())

    raster.generate(
        model,
        sizes.batch,
        seeded(),
        on_row=row_is_done,
        num_threads=1,
    )
    rows = [after - before for before, after in itertools.pairwise(ends)]
    return statistics.median(rows) / WIDTH


def against_oracle(kind: type[StackModel], sizes: Sizes) -> Rows:
    model = make(kind, WIDTH, sizes)
    symbols = 3 * WIDTH * WIDTH
    reference.generate(make(kind, 1, sizes), 1, seeded())  # warms up
    oracle, walk = [], []
    for _ in range(sizes.turns):
        oracle.append(symbols * oracle_seconds(model, sizes))
        walk.append(walk_seconds(model, sizes))
    timed = f"{sizes.oracle} sub-pixels timed, times {symbols // sizes.oracle}"
    count = raster.sensible_threads(model, sizes.batch)
    return [
        {"what": f"oracle, s ({timed})", "value": report.Spread.of(oracle)},
        {"what": f"incremental, s ({count} threads)", "value": report.Spread.of(walk)},
        {
            "what": "oracle / incremental",
            "value": report.ratios(oracle, walk),
            "target": f">= {TIMES_ORACLE.get(kind, 1000)}",
        },
    ]


def by_height(kind: type[StackModel], sizes: Sizes) -> Rows:
    models = {height: make(kind, height, sizes) for height in HEIGHTS}
    seconds: dict[int, list[float]] = {height: [] for height in HEIGHTS}
    for turn in range(sizes.turns):
        for height in HEIGHTS[:: 1 - 2 * (turn % 2)]:  # to and fro, against drift
            seconds[height].append(pixel_seconds(models[height], sizes))
    rows: Rows = [
        {
            "what": f"a pixel at height {height}, ms",
            "value": report.ratios([1e3] * sizes.turns, [1 / s for s in seconds[height]]),
        }
        for height in HEIGHTS
    ]
    for height in (HEIGHTS[0], HEIGHTS[-1]):
        ratio = report.ratios(seconds[height], seconds[WIDTH])
        row: dict[str, Any] = {"what": f"a pixel at height {height} / {WIDTH}", "value": ratio}
        attends = kind is PixelSNAIL  # to all pixels above, so that a pixel costs more further down
        rows.append(row if attends else {**row, "target": "0.9 to 1.1"})
    return rows


def in_place_flops(_: Any, a: torch.Size, b: torch.Size, **__: Any) -> int:
    """Of `addmm_` and `baddbmm_`, which torch's counter leaves out."""
    return 2 * a.numel() * b[-1]


def arithmetic(kind: type[StackModel], sizes: Sizes) -> Rows:
    """All products of 8 rows, masked ones at their full size, by torch's own counter.

    In float64: it cannot see our own products (`ops.few_rows`), which are float32 only.
    """
    model = make(kind, 8, sizes).double()
    images = torch.zeros(1, 3, 8, WIDTH, dtype=torch.uint8, device=sizes.device)
    products = (torch.ops.aten.addmm_, torch.ops.aten.baddbmm_)
    mapping = dict.fromkeys(products, in_place_flops)
    totals = []
    for run in (lambda: raster.generate(model, 1, seeded()), lambda: model(images)):
        with FlopCounterMode(display=False, custom_mapping=mapping) as counter, torch.no_grad():
            run()
        totals.append(counter.get_total_flops())
    what = "arithmetic / one forward pass"
    return [{"what": what, "value": totals[0] / totals[1], "target": "<= 2"}]


def same_images(kind: type[StackModel], sizes: Sizes) -> Rows:
    """A difference needs a uniform within rounding of a step of the cumulative distribution."""
    torch.manual_seed(0)
    model: CausalModel = kind((3, 8, 8), hidden=32, layers=2, head_width=64)
    model.eval().to(sizes.device)
    with threads.limited(1):
        walk = raster.generate(model, sizes.images, seeded())
        oracle = reference.generate(model, sizes.images, seeded())
    same = int((walk == oracle).flatten(1).all(1).sum())
    what = f"same images as the oracle, of {sizes.images} (8x8x3, h=32, 2 layers)"
    return [{"what": what, "value": same}]


def completions(kind: type[StackModel], sizes: Sizes) -> Rows:
    """The lower half of 8 images is drawn 4 times each, by the network of `pixelrnn train`."""
    torch.manual_seed(0)
    model = kind((1, 8, 8), levels=17, hidden=32, layers=2).eval().to(sizes.device)
    images = torch.randint(17, (COMPLETED, 1, 8, 8), dtype=torch.uint8, device=sizes.device)
    known = torch.arange(8, device=sizes.device)[:, None].expand(8, 8) < 4

    def shared() -> torch.Tensor:
        generators = for_images(0, COMPLETED * DRAWS)
        return model.complete(images, known, generator=generators, draws=DRAWS)

    def one_by_one() -> torch.Tensor:
        repeated = images.repeat_interleave(DRAWS, dim=0)
        generators = for_images(0, COMPLETED * DRAWS)
        return model.complete(repeated, known, generator=generators, batch_size=1)

    clock = time.process_time if sizes.device.type == "cpu" else time.perf_counter
    with threads.limited(1):
        found = report.interleave(
            {"shared": shared, "one by one": one_by_one},
            sizes.turns,
            timing.wait_for(sizes.device),
            clock,
        )
        same = int((shared() == one_by_one()).flatten(1).all(1).sum())
    ratio = report.ratios(found["one by one"], found["shared"])
    total = f"{COMPLETED} images x {DRAWS} draws (8x8, 17 levels, h=32, 2 layers)"
    milliseconds = report.Spread.of([1e3 * seconds for seconds in found["shared"]])
    return [
        {"what": f"complete, ms: {total}", "value": milliseconds},
        {"what": "complete, draws one by one / shared", "value": ratio, "target": ">= 5"},
        {"what": f"complete, same images, of {len(images) * DRAWS}", "value": same},
    ]


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], "sampling")
    parser.add_argument("--only", default="", help="models whose name holds this text")
    report.add_device(parser)
    options = parser.parse_args()
    sizes = replace(QUICK if options.quick else Sizes(), device=options.device)
    rows = [
        {"model": kind.__name__, **row}
        for kind in MODELS
        if options.only in kind.__name__
        for measure in (against_oracle, by_height, arithmetic, same_images, completions)
        for row in measure(kind, sizes)
    ]
    title = (
        f"Sampling {sizes.batch} images of {WIDTH}x{WIDTH}x3, float32, "
        f"h={sizes.hidden}, {sizes.layers} layers, on {sizes.device}"
    )
    report.finish(title, rows, options.out)


if __name__ == "__main__":
    main()
