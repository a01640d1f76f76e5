"""Log-probabilities of many pixels, some at a time: their parameters are never all in memory.

A softmax over 65,536 levels has as many parameters for each sub-pixel: those of 16 images of
32 x 32 fill 4 GiB in float32, and training holds three tensors of that size. So the last layer of
a network and the likelihood are applied to some pixels at a time, and once more in the backward: a
little more arithmetic, and the memory of one chunk.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

NUMBERS = 2**24
"""Parameters of a chunk at most: 64 MiB in float32. Pixels whose parameters are fewer in all are
one chunk, of which everything is kept for the backward."""

Score = Callable[[Tensor, Tensor], Tensor]
"""A function of features (n, F) and pixels (n, C) that gives their log-probabilities, (n,) nats."""


def log_prob(score: Score, features: Tensor, pixels: Tensor, parameters: int) -> Tensor:
    """Compute the log-probability of each pixel; values and gradients are those of `score`.

    Args:
        score: applies the last layer and the likelihood.
        features: (n, F), of the pixels' positions.
        pixels: (n, C), integers.
        parameters: P, how many parameters a pixel has.

    Returns:
        (n,) nats.
    """
    size = max(1, NUMBERS // parameters)
    if len(features) <= size:
        return score(features, pixels)
    parts = zip(features.split(size), pixels.split(size), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([score(*part) for part in parts])
    return torch.cat(
        [checkpoint(score, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    )
