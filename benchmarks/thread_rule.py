"""What a second thread gains in training steps of small networks: the rule of `pixelrnn.threads`.

    python -m benchmarks.thread_rule [--quick] [--out FILE]

Forward and backward, one thread and all cores in turns. `weights x images x pixels` is what the
rule goes by: below `threads.SMALL_TRAINING` it takes one thread. On a machine whose cores others
use, all cores are slower than one, and the numbers say nothing about the rule.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks import report
from pixelrnn import threads
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.models.stack import StackModel
from pixelrnn.native.memory import reuse_freed_memory

DIGITS, MNIST = ((1, 8, 8), 16), ((1, 28, 28), 2)
SIZES = (  # hidden, layers, image and levels, batch
    (16, 4, DIGITS, 32),
    (32, 4, DIGITS, 64),
    (16, 7, MNIST, 16),
    (16, 15, MNIST, 16),
    (32, 7, MNIST, 16),
)


def main() -> None:
    options = report.parser(__doc__.splitlines()[0], "thread_rule")
    given = options.parse_args()
    reuse_freed_memory()
    repeats = 5 if given.quick else 15
    cases = [(cls, *size) for cls in (PixelCNN, RowLSTM, DiagonalBiLSTM) for size in SIZES]
    rows = [measure(*case, repeats=repeats) for case in cases]
    rows.sort(key=lambda row: row["weights x images x pixels, millions"])
    report.finish("Training steps on one thread and on all cores", rows, given.out)


def measure(
    cls: Callable[..., StackModel],
    hidden: int,
    layers: int,
    data: tuple[tuple[int, int, int], int],
    batch: int,
    *,
    repeats: int,
) -> dict[str, Any]:
    """One row of the table."""
    shape, levels = data
    model = cls(shape, levels, hidden=hidden, layers=layers)
    images = torch.randint(levels, (batch, *shape), dtype=torch.uint8)
    weights = sum(weight.numel() for weight in model.parameters())
    counts = {"one": 1, "all": threads.cores()}
    times = report.interleave(
        {name: partial(step, model, images, count) for name, count in counts.items()}, repeats
    )
    name = f"{cls.__name__} h={hidden}, {layers} layers, {shape[1]} x {shape[2]}, batch {batch}"
    return {
        "network": name,
        "weights x images x pixels, millions": weights * images[:, 0].numel() / 1e6,
        "the rule takes": threads.for_training(weights, batch, shape[1] * shape[2]),
        "one thread, ms": report.Spread.of([1e3 * value for value in times["one"]]),
        "all cores, times as fast": report.ratios(times["one"], times["all"]),
    }


def step(model: StackModel, images: torch.Tensor, count: int) -> None:
    """Forward and backward on so many threads."""
    with threads.limited(count):
        model.log_prob(images).mean().backward()


if __name__ == "__main__":
    main()
