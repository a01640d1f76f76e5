"""How many threads a walk takes: its products are small, and threads have to pay for themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pixelrnn.generation.network import Network

WORK_PER_THREAD = 75_000_000
"""Weights times images for each thread.

Measured on 2 cores AMD EPYC (AVX-512), torch 2.13, all three models with 4 layers, h = 16, 64, 128,
batches of 16 and 64, and with 12 layers, h = 128, batch 16; one and two threads interleaved in one
process. Below 90 million the second thread makes it 1.02 to 1.26 times as fast, near 120 million
1.06 to 1.39 times, from 145 million on 1.2 to 1.56 times. But while other processes keep the cores
busy, two threads that wait for each other are 5 to 100 times slower, and one thread is not: so a
second one has to be worth it.
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
