"""Integer tables of frequencies: what the coder codes with.

A table gives each of L levels a whole number of parts of 2^24, at least one. Whole numbers have no
rounding, so encoder and decoder agree once the tables are equal, and the bits are known in advance:
`2^24 / frequency` of a symbol costs `bits(...)`.

    share(v) = floor(p(v) (2^24 - L)), and what is left over goes to the likeliest level
    frequency(v) = 1 + share(v)

so a symbol costs at most -log2 p(v) - log2(1 - L / 2^24) bits, which is 2.3e-5 bits more than its
probability says for L = 256. Tables are handed on as shares in float32, which holds whole numbers
up to 2^24 exactly: that is what the coder takes.
"""

from typing import Final

import numpy as np
from torch import Tensor

from pixelrnn.errors import CompressionError

BITS: Final = 24
TOTAL = 2**BITS
"""Sum of the frequencies of every table: the precision of the range coder."""


def of_distributions(log_probs: Tensor) -> np.ndarray:
    """Tables of the distributions of some symbols.

    Args:
        log_probs: (B, levels) nats, float32 or float64, on any device; normalised but for rounding.

    Returns:
        The shares of each level, float32 (B, levels): whole numbers from 0, each row of sum
        2^24 - levels.

    Raises:
        CompressionError: a distribution is not finite.
    """
    weights = log_probs.detach().cpu().softmax(dim=-1).numpy()  # our own memory from here on
    rows, levels = weights.shape
    np.multiply(weights, TOTAL - levels, out=weights)
    np.floor(weights, out=weights)
    rest = (TOTAL - levels) - weights.sum(axis=1, dtype=np.float64)
    if not (rest > -TOTAL / (2 * levels)).all():  # false for what is no number
        raise CompressionError("the model gives probabilities that are not finite numbers")
    weights[np.arange(rows), weights.argmax(axis=1)] += rest
    return np.ascontiguousarray(weights, np.float32)


def frequencies(table: np.ndarray) -> np.ndarray:
    """The frequencies of tables: int64 (B, levels), each at least 1, each row of sum 2^24."""
    return table.astype(np.int64) + 1


def bits(table: np.ndarray, symbols: np.ndarray) -> float:
    """Bits that symbols cost under their tables: float32 (B, levels), integers (B,)."""
    chosen = np.take_along_axis(frequencies(table), symbols.astype(np.int64)[:, None], axis=1)
    return float(BITS * len(symbols) - np.log2(chosen).sum())
