"""Whole training steps of small networks, against the same networks of plain `conv2d` and loops.

    python -m benchmarks.against_plain [--threads 2] [--repeats 15] [--only TEXT] [--out FILE]

28 x 28 binary images, batch 16, RMSProp: forward, backward and the optimiser's step, the models in
turns. The plain networks (`benchmarks.plain_networks`) compute the same function from the same
weights. Besides the ratio of each turn, the ratio of the fastest turns of both is given: other
processes that keep the cores busy can only add to a time. `--cpu-time` counts the time that the
process was on a core; with one thread that holds on a busy machine, too.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import report
from benchmarks.plain_networks import PlainNetwork
from pixelrnn import threads
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.models.stack import StackModel
from pixelrnn.native.memory import reuse_freed_memory

SHAPE, BATCH = (1, 28, 28), 16
CASES: dict[str, tuple[Callable[..., StackModel], dict[str, int]]] = {
    "pixelcnn h=16, 15 blocks": (PixelCNN, {"hidden": 16, "layers": 15}),
    "pixelcnn h=32, 15 blocks": (PixelCNN, {"hidden": 32, "layers": 15}),
    "pixelcnn h=128, 15 blocks": (PixelCNN, {"hidden": 128, "layers": 15}),
    "row_lstm h=16, 7 layers": (RowLSTM, {"hidden": 16, "layers": 7}),
    "diagonal_bilstm h=16, 7 layers": (DiagonalBiLSTM, {"hidden": 16, "layers": 7}),
}
SLOW = "h=128"


def main() -> None:
    options = report.parser(__doc__.splitlines()[0], "against_plain")
    options.add_argument("--only", default="", help="cases whose name holds this text")
    options.add_argument("--threads", type=int, nargs="+", help="default: 1, and all cores")
    options.add_argument("--repeats", type=int, default=15)
    options.add_argument("--cpu-time", action="store_true", help="on a core, not on the clock")
    given = options.parse_args()
    reuse_freed_memory()
    clock = time.process_time if given.cpu_time else time.perf_counter
    rows = []
    for count in given.threads or sorted({1, threads.cores()}):
        with threads.limited(count):
            for name in CASES:
                if given.only in name and not (given.quick and SLOW in name):
                    repeats = 3 if given.quick or SLOW in name else given.repeats
                    rows.append(measure(name, count, repeats, clock))
    report.finish(f"Training steps {SHAPE}, batch {BATCH}, against plain", rows, given.out)


def measure(name: str, count: int, repeats: int, clock: Callable[[], float]) -> dict[str, Any]:
    """One row of the table."""
    times = report.interleave(steps(name), repeats, clock=clock)
    plain, ours = times["plain"], times["ours"]
    return {
        "network": name,
        "threads": count,
        "plain, ms": report.Spread.of([1e3 * value for value in plain]),
        "ours, ms": report.Spread.of([1e3 * value for value in ours]),
        "x plain": report.ratios(plain, ours),
        "x plain, fastest turns": min(plain) / min(ours),
    }


def steps(name: str) -> dict[str, Callable[[], None]]:
    """Training steps of both on the same images, from the same weights."""
    torch.manual_seed(0)
    make, settings = CASES[name]
    model = make(SHAPE, 2, **settings)
    images = torch.randint(2, (BATCH, *SHAPE), dtype=torch.uint8)
    network = PlainNetwork(model)
    return {
        "plain": training_step(network, lambda: plain_loss(network, images)),
        "ours": training_step(model, lambda: -model.log_prob(images).mean()),
    }


def plain_loss(network: nn.Module, images: Tensor) -> Tensor:
    """The mean over images of -log p in nats."""
    pixels = images.float()
    logits = network(2 * pixels - 1)
    loss = F.binary_cross_entropy_with_logits(logits, pixels, reduction="none")
    return loss.sum((1, 2, 3)).mean()


def training_step(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a function that does one step of RMSProp."""
    optimizer = torch.optim.RMSprop(module.parameters(), lr=5e-4, alpha=0.95)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
