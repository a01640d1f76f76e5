"""How many threads generation uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Run torch's CPU operations on `count` threads, then on as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sensible(network: object, batch: int) -> int:
    return torch.get_num_threads()
