"""Integer tables of frequencies: what the coder codes with.

A table gives each of L levels a whole number of parts of 2^24, at least one. Whole numbers have no
rounding, so encoder and decoder agree once the tables are equal, and the bits are known in advance:
`2^24 / frequency` of a symbol costs `bits(...)`.

    frequency(v) = 1 + floor(p(v) (2^24 - L)), and what is left over goes to the likeliest level

so a symbol costs at most -log2 p(v) - log2(1 - L / 2^24) bits, which is 2.3e-5 bits more than its
probability says for L = 256.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from pixelrnn.errors import CompressionError

BITS: Final = 24
TOTAL = 2**BITS
"""Sum of every table: the precision of the range coder."""


def frequencies(log_probs: Tensor) -> np.ndarray:
    """Tables of the distributions of some symbols.

    Args:
        log_probs: (B, levels) nats, any float dtype and device; normalised but for rounding.

    Returns:
        int64 (B, levels), each at least 1, each row of sum 2^24.

    Raises:
        CompressionError: a distribution is not finite.
    """
    return from_weights(log_probs.detach().cpu().double().softmax(dim=-1))


def from_weights(weights: Tensor) -> np.ndarray:
    """Tables of distributions given as probabilities: float64 (B, levels) -> int64 (B, levels).

    Raises:
        CompressionError: a probability is not finite.
    """
    if not torch.isfinite(weights).all():
        raise CompressionError("the model gives probabilities that are not finite numbers")
    levels = weights.shape[-1]
    table = 1 + (weights * (TOTAL - levels)).floor().long()
    table.scatter_add_(-1, weights.argmax(-1, keepdim=True), TOTAL - table.sum(-1, keepdim=True))
    return table.numpy()


def uniform(n: int, levels: int) -> np.ndarray:
    """Tables of n symbols whose levels are equally likely, as nearly as whole numbers can be."""
    table = np.full(levels, TOTAL // levels, dtype=np.int64)
    table[: TOTAL % levels] += 1
    return np.broadcast_to(table, (n, levels))


def bits(table: np.ndarray, symbols: np.ndarray) -> float:
    """Bits that symbols cost under their tables: int64 (B, levels), integers (B,)."""
    chosen = np.take_along_axis(table, symbols.astype(np.int64)[:, None], axis=1)
    return float(BITS * len(symbols) - np.log2(chosen).sum())
