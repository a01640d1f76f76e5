"""Small networks: samples and completions, against the walk step by step and image by image.

    python -m benchmarks.small_models [--quick] [--only TEXT] [--out FILE]

The lower half of 8 images is completed 4 times each. `alone`: each completion is walked from the
first pixel on, with a distribution at every pixel, step by step. Otherwise what is known is walked
once for all draws of an image, and what columns have in common is repeated natively. All give the
same images to the last bit, which is checked. Turns are interleaved, in the processor's time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks import report
from pixelrnn.generation.known import completions
from pixelrnn.generation.sources import for_images
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, RowLSTM
from pixelrnn.models.stack import StackModel
from pixelrnn.ops import tapes

MODELS = (PixelCNN, GatedPixelCNN, RowLSTM, DiagonalBiLSTM)
IMAGES, DRAWS = 8, 4
TOTAL = IMAGES * DRAWS


@dataclass(frozen=True)
class Setting:
    """What is drawn, and by what."""

    name: str
    shape: tuple[int, int, int]
    levels: int
    hidden: int
    layers: int


SETTINGS = (
    Setting("8x8, 17 levels, h=32, 2 layers", (1, 8, 8), 17, 32, 2),
    Setting("28x28 binary, h=16, 7 layers", (1, 28, 28), 2, 16, 7),
)
QUICK = (Setting("4x4, 4 levels, h=4, 1 layer", (1, 4, 4), 4, 4, 1),)


def step_by_step(work: Callable[[], Tensor]) -> Tensor:
    """Do the work while nothing that was recorded is repeated."""
    with mock.patch.object(tapes, "Tape", side_effect=ValueError("nothing is repeated")):
        return work()


def completed_alone(model: StackModel, images: Tensor, known: Tensor) -> Tensor:
    source_of = completions(
        images.repeat_interleave(DRAWS, dim=0), known, for_images(0, TOTAL), copies=1
    )

    def unknowing(part: slice) -> Callable[..., Tensor]:
        source = source_of(part)
        return lambda log_probs, position: source(log_probs, position)

    return step_by_step(lambda: torch.cat(list(model.walk(unknowing, TOTAL))))


def measured(kind: type[StackModel], setting: Setting, turns: int) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    model = kind(
        setting.shape, levels=setting.levels, hidden=setting.hidden, layers=setting.layers
    ).eval()
    images = torch.randint(setting.levels, (IMAGES, *setting.shape), dtype=torch.uint8)
    height, width = setting.shape[1:]
    known = torch.arange(height)[:, None].expand(height, width) < height // 2
    ways: dict[str, Callable[[], Tensor]] = {
        "sample": lambda: model.sample(TOTAL, generator=for_images(0, TOTAL)),
        "sample, step by step": lambda: step_by_step(ways["sample"]),
        "complete": lambda: model.complete(
            images, known, generator=for_images(0, TOTAL), draws=DRAWS
        ),
        "complete, alone": lambda: completed_alone(model, images, known),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(turns + 1):
        found = {}
        for way, work in ways.items():
            start = time.process_time()
            found[way] = work()
            if turn:  # the first one warms up
                seconds[way].append(time.process_time() - start)
        assert torch.equal(found["sample"], found["sample, step by step"])
        assert torch.equal(found["complete"], found["complete, alone"])
    row = {"model": kind.__name__, "setting": setting.name}
    return [
        {
            **row,
            "what": f"{way} of {TOTAL} images",
            "ms": report.Spread.of([1e3 * second for second in seconds[way]]),
            "times as fast": report.ratios(seconds[other], seconds[way]),
        }
        for way, other in (("sample", "sample, step by step"), ("complete", "complete, alone"))
    ]


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], "small_models")
    parser.add_argument("--only", default="", help="models whose name holds this text")
    options = parser.parse_args()
    rows = [
        row
        for setting in (QUICK if options.quick else SETTINGS)
        for kind in MODELS
        if options.only in kind.__name__
        for row in measured(kind, setting, 1 if options.quick else 5)
    ]
    report.finish("Small networks, float32, in the processor's time", rows, options.out)


if __name__ == "__main__":
    main()
