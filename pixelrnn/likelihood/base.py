"""The likelihood contract: parameters of one distribution per sub-pixel, on the last axis.

Everything is computed in float32 or better, whatever the network's precision: 256-way cross
entropy in bfloat16 is off by hundredths of a bit, enough to fake a result.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Likelihood(ABC):
    """A distribution over the levels 0 .. levels - 1 of one sub-pixel.

    Attributes:
        levels: number of values a sub-pixel can take.
        num_parameters: parameters per sub-pixel (P) that the network has to put out.
    """

    levels: int
    num_parameters: int

    @abstractmethod
    def log_prob(self, parameters: Tensor, symbols: Tensor) -> Tensor:
        """Log-probability in nats: parameters (..., P), symbols (...) integers -> (...) float."""

    @abstractmethod
    def log_probs(self, parameters: Tensor) -> Tensor:
        """Normalised log-probabilities of every level: (..., P) -> (..., levels), nats."""


def at_least_float32(parameters: Tensor) -> Tensor:
    """Half precisions become float32; float32 and float64 stay."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))
