"""The canary: a hash of the integer tables that a model gives here for a fixed probe.

If it differs where a file is to be decoded, the file would decode to wrong pixels: it is refused
before any work is done.
"""

import contextlib
import hashlib

import numpy as np
import torch
from torch import Tensor

from pixelrnn.compression import sources, tables
from pixelrnn.compression.numerics import Walker
from pixelrnn.generation.sources import Position
from pixelrnn.models.base import ImageDistribution


class _Enough(Exception):
    """The probe has seen what it wanted to see."""


class Probe:
    """Walks over symbols of a fixed pattern, and hashes the tables that it meets.

    Args:
        limit: sub-pixels after which it ends the walk by raising `_Enough`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen = 0
        self.digest = hashlib.sha256()

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `generation.sources.Source`."""
        table = tables.of_distributions(log_probs)
        self.digest.update(np.ascontiguousarray(table, dtype="<i4").tobytes())
        self.seen += 1
        if self.seen >= self.limit:
            raise _Enough
        n, levels = table.shape
        symbols = (torch.arange(n) * 101 + self.seen * 37) % levels
        return symbols.to(log_probs.device)


def canary(walker: Walker, n: int) -> str:
    """Half a SHA-256 of the tables of n probe images, over a row and the two pixels below it.

    Of a model of several scales, all but the last are probed whole, and so much of the last.

    The probe has as many images as a batch of the file, since kernels may sum in an order that
    depends on it.

    Raises:
        CompressionError: the model cannot be coded.
    """
    model = walker.model
    colors, height, width = model.image_shape
    probe = Probe(min(colors * height * width, _last_scale(model) + colors * (width + 2)))
    if n:
        labels = None if model.classes is None else torch.arange(n) % model.classes
        with contextlib.suppress(_Enough):
            sources.walk(walker, probe, n, labels)
    return probe.digest.hexdigest()[:32]


def _last_scale(model: ImageDistribution) -> int:
    """Sub-pixels before the last scale: `order` goes on in raster order from there."""
    back = (model.order.diff() < 0).nonzero()
    return int(back[-1]) + 1 if len(back) else 0
