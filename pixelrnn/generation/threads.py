"""How many threads a walk takes: its products are small, and threads have to pay for themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pixelrnn.generation.reference import Network

WORK_PER_THREAD = 100_000_000
"""Weights times images for each thread.

Measured on 2 cores AMD EPYC (AVX-512), torch 2.13, all three models with 4 layers, h from 16 to
128, batches of 16 and 64, one and two threads interleaved in one process. Below 35 million the
second thread gains nothing (0.9 to 1.1 times as fast); from 50 to 100 million it gains 1.2 at most,
from 200 million on 1.2 to 1.4. But while other processes keep the cores busy, two threads that wait
for each other are 5 to 100 times slower, and one thread is not: so a second one has to be worth it.
"""


def sensible(network: Network, batch: int) -> int:
    """Threads for images walked together: a function of sizes, never above torch's present number.

    So the same walk on the same machine takes the same number, and repeats to the last bit.
    """
    weights = sum(weight.numel() for weight in network.parameters())
    return max(1, min(torch.get_num_threads(), weights * batch // WORK_PER_THREAD))


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Run torch's CPU operations on `count` threads, then on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
