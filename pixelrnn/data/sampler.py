"""The order of the data, keyed by (seed, epoch) alone.

Nothing is remembered: a run that is killed and resumed, with any number of workers, sees the same
batches as one that was never interrupted.

Several processes share each batch: of a batch with the indices i_0 ... i_(b-1), the process of rank
r of w takes i_r, i_(r+w), i_(r+2w), ... All processes make the same number of steps, and together
they see what one process would. Shares differ by at most one image where b does not divide by w; a
batch with fewer images than there are processes, such as the last of an epoch, leaves some shares
empty. A mean over a batch is therefore the mean over the processes weighted by the sizes of their
shares, and not the plain one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Batch(NamedTuple):
    """What a loader asks of a dataset: these images, as they are presented in this epoch."""

    epoch: int
    indices: np.ndarray  # int64 (b,)


class BatchOrder(Sampler[Batch]):
    """Batches of one epoch. Lightning sets the epoch (`set_epoch`) before each pass.

    Args:
        size: number of images.
        batch_size: images in a batch, over all processes; the last batch may be smaller.
        seed: seed of the shuffle; None keeps file order.
        rank: number of this process, from 0.
        world: number of processes.
        skip: batches of the first pass that were done before an interruption.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        seed: int | None,
        rank: int = 0,
        world: int = 1,
        skip: int = 0,
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.skip = skip
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return -(-self.size // self.batch_size)

    def images_in(self, index: int) -> int:
        """How many images a batch of an epoch has, over all processes."""
        return min(self.batch_size, self.size - index * self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the first that is not yet done; the next pass is whole."""
        skip, self.skip = self.skip, 0
        order = self._order()
        for index in range(skip, len(self)):
            yield Batch(self.epoch, self._share(order, index))

    def batch(self, index: int) -> np.ndarray:
        """The images of one batch of this epoch that this process has: int64 (b,)."""
        return self._share(self._order(), index)

    def _order(self) -> np.ndarray:
        if self.seed is None:
            return np.arange(self.size)
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.size)

    def _share(self, order: np.ndarray, index: int) -> np.ndarray:
        start = index * self.batch_size
        return order[start : start + self.batch_size][self.rank :: self.world]
