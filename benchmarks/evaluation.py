"""Evaluation in batches chosen by memory, per image, against a training step of the same model.

    python -m benchmarks.evaluation [--quick] [--only TEXT] [--out FILE]

Three times of one image are taken in turns in one process, in the processor's time: of evaluation
with `data.eval_batch_size=auto`; of the forward pass of a training step (with gradients recorded);
of the whole step without the optimiser. A training step has its data set's default batch.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import report
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from pixelrnn.models.stack import StackModel
from pixelrnn.training import evaluation_batch

MODELS = (PixelCNN, GatedPixelCNN, PixelSNAIL, RowLSTM, DiagonalBiLSTM)


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    name: str
    shape: tuple[int, int, int]
    levels: int
    hidden: int
    layers: int
    batch: int


SETTINGS = (
    Setting("8x8, 17 levels, h=32, 2 layers", (1, 8, 8), 17, 32, 2, 32),
    Setting("28x28 binary, h=16, 7 layers", (1, 28, 28), 2, 16, 7, 16),
)
QUICK = (Setting("4x4", (1, 4, 4), 4, 4, 1, 4),)


def seconds(run: Callable[[], Any], images: int) -> tuple[float, Any]:
    """The processor's time of one image, and what was computed."""
    start = time.process_time()
    found = run()
    return (time.process_time() - start) / images, found


def measured(kind: type[StackModel], setting: Setting, turns: int) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    model = kind(setting.shape, levels=setting.levels, hidden=setting.hidden, layers=setting.layers)
    count = evaluation_batch.images_within(model, "cpu")
    many = torch.randint(setting.levels, (count, *setting.shape), dtype=torch.uint8)
    few = torch.randint(setting.levels, (setting.batch, *setting.shape), dtype=torch.uint8)
    evaluated, forward, step = [], [], []
    for turn in range(turns + 1):
        with torch.no_grad():
            model.eval()
            evaluation, _ = seconds(lambda: model.log_prob(many), count)
        model.train()
        forth, log_prob = seconds(lambda: model.log_prob(few), len(few))
        back, _ = seconds((-log_prob.mean()).backward, len(few))
        if turn:  # the first one warms up
            evaluated.append(evaluation)
            forward.append(forth)
            step.append(forth + back)
    of_forward = report.ratios(evaluated, forward)
    of_half = report.ratios(evaluated, [one / 2 for one in step])
    row = {"model": kind.__name__, "setting": setting.name}
    return [
        {**row, "what": "images at once", "value": count},
        {**row, "what": "evaluation, ms", "value": 1e3 * statistics.median(evaluated)},
        {**row, "what": "evaluation / forward of a step", "value": of_forward},
        {**row, "what": "evaluation / half a step", "value": of_half, "target": "<= 1"},
    ]


def main() -> None:
    parser = report.parser(__doc__.splitlines()[0], "evaluation")
    parser.add_argument("--only", default="", help="models whose name holds this text")
    options = parser.parse_args()
    rows = [
        row
        for setting in (QUICK if options.quick else SETTINGS)
        for kind in MODELS
        if options.only in kind.__name__
        for row in measured(kind, setting, 1 if options.quick else 5)
    ]
    report.finish("Evaluation of an image, float32, one process", rows, options.out)


if __name__ == "__main__":
    main()
