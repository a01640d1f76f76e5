"""Coding against sampling as many images, with the default settings of both.

    python -m benchmarks.coding [--quick] [--only CASE]

Images are a model's own samples at temperature 0.5, so that they are coded and not stored raw.
Turns of sampling, compressing (with and without verification) and decompressing are interleaved in
one process. A ratio is images per second over those of sampling: 0.5 takes twice as long. It is
given in the processor's time too, which other processes of the machine disturb less. Portable mode
is measured in the first turn alone, since it takes ten times as long.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import pixelrnn
from benchmarks import report
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.models.base import ImageDistribution

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """Models of one size on images of one kind, and how many images are coded."""

    name: str
    image_shape: tuple[int, int, int]
    levels: int
    hidden: int
    layers: int
    head_width: int
    images: int


CASES = (
    Case("digits", (1, 8, 8), 17, 32, 4, 64, 512),
    Case("crops", (3, 16, 16), 256, 16, 3, 64, 256),
    Case("binary", (1, 28, 28), 2, 16, 4, 32, 256),
    Case("wide", (3, 16, 16), 256, 128, 2, 1024, 128),
)
QUICK = (Case("digits", (1, 8, 8), 17, 8, 1, 16, 32),)
MODELS = (PixelCNN, RowLSTM, DiagonalBiLSTM)


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall time and processor time."""
    before, start = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - start, time.process_time() - before


def ratios(times: dict[str, list[float]], name: str) -> report.Spread:
    """Of sampling and a candidate, turn by turn."""
    return report.ratios(times["sample"][: len(times[name])], times[name])


def make(kind: type, case: Case) -> ImageDistribution:
    torch.manual_seed(0)
    settings = {"hidden": case.hidden, "layers": case.layers, "head_width": case.head_width}
    model: ImageDistribution = kind(case.image_shape, case.levels, **settings)
    return model.eval()


def measured(kind: type, case: Case, turns: int) -> Rows:
    model, n = make(kind, case), case.images
    images = model.sample(n, generator=torch.Generator().manual_seed(0), temperature=0.5)
    data = {mode: pixelrnn.compress(model, images, mode=mode) for mode in ("fast", "portable")}

    def unpacked(mode: str) -> Tensor:
        return pixelrnn.decompress(model, data[mode])

    candidates: dict[str, Callable[[], Any]] = {
        "sample": lambda: model.sample(n),
        "sample, batch_size=256": lambda: model.sample(n, batch_size=256),
        "compress": lambda: pixelrnn.compress(model, images),
        "compress, verify=false": lambda: pixelrnn.compress(model, images, verify=False),
        "decompress": lambda: unpacked("fast"),
        "portable compress": lambda: pixelrnn.compress(model, images, mode="portable"),
        "portable decompress": lambda: unpacked("portable"),
    }
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    processor: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(turns):
        for name, candidate in candidates.items():
            if turn > 0 and name.startswith("portable"):
                continue
            elapsed, used = seconds(candidate)
            wall[name].append(elapsed)
            processor[name].append(used)
    rows: Rows = [
        {"what": "sample, images/s", "wall": report.Spread.of([n / s for s in wall["sample"]])}
    ]
    for name in list(candidates)[1:]:
        rows.append(
            {
                "what": f"{name} / sample",
                "wall": ratios(wall, name),
                "processor": ratios(processor, name),
                "target": ">= 0.5" if name in ("compress", "decompress") else "",
            }
        )
    return rows


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], "coding")
    parser.add_argument("--only", choices=[case.name for case in CASES], help="one case")
    options = parser.parse_args()
    turns = 1 if options.quick else 3
    every = QUICK if options.quick else CASES
    cases = [case for case in every if options.only in (None, case.name)]
    rows = [
        {"images": case.name, "model": kind.__name__, **row}
        for case in cases
        for kind in MODELS
        for row in measured(kind, case, turns)
    ]
    report.finish("Coding and sampling, images per second", rows, options.out)


if __name__ == "__main__":
    main()
