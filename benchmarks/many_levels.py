"""Memory and time of a training step with many levels: the loss in chunks against all at once.

    python -m benchmarks.many_levels [--levels 65536] [--sizes 8 16 32] [--batch 4]

Each row is a process of its own: the peak of its resident memory over what it held before the step.
"""

import argparse
import multiprocessing
import resource
import time

import torch

from pixelrnn.likelihood import in_chunks
from pixelrnn.models import GatedPixelCNN


def step(size: int, levels: int, batch: int, chunked: bool) -> tuple[float, float]:
    """Peak of a training step in MiB above what the model holds, and its seconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if not chunked:
        in_chunks.NUMBERS = 2**62
    model = GatedPixelCNN((1, size, size), levels, hidden=32, layers=2, embed=32)
    images = torch.randint(levels, (batch, 1, size, size), dtype=torch.int32)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    before = _peak()
    start = time.perf_counter()
    (-model.log_prob(images).mean()).backward()
    return _peak() - before, time.perf_counter() - start


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", type=int, default=65_536)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--batch", type=int, default=4)
    given = parser.parse_args()
    print("| images | logits in all, MiB | | peak, MiB | seconds |\n|---|---|---|---|---|")
    for size in given.sizes:
        logits = given.batch * size * size * given.levels * 4 / 2**20
        for chunked in (True, False):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peak, seconds = pool.apply(step, (size, given.levels, given.batch, chunked))
            how = "in chunks" if chunked else "all at once"
            row = f"{given.batch} x {size} x {size} | {logits:,.0f} | {how}"
            print(f"| {row} | {peak:,.0f} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
