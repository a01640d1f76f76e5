"""The likelihood contract: the distribution of a pixel, given parameters on the last axis.

    log p(pixel) = sum over colours k of log p(colour k | colours before k)

Everything is computed in float32 or better, whatever the network's precision: 256-way cross
entropy in bfloat16 is off by hundredths of a bit, enough to fake a result.

Axes: `C` colours, `P` parameters of a pixel's distribution.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pixelrnn.description import Described


class Likelihood(Described, ABC):
    """A distribution over pixels whose colours have the levels 0 .. levels - 1.

    Attributes:
        levels: number of values a colour of a pixel can take.
        ties_colors: False: the parameters are C equal parts, and colour k needs the k-th alone, so
            that a network may compute that part after it has seen the colours before k. True: all
            colours share parameters, which must not depend on any colour of the pixel; a network
            then needs one colour group (`color_conditioning=False`).
    """

    levels: int
    ties_colors: bool = False

    @abstractmethod
    def parameters_per_pixel(self, colors: int) -> int:
        """Return the number P of parameters that a network puts out for a pixel of C colours."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, pixel: Tensor) -> Tensor:
        """Compute the log-probability of a pixel in nats.

        Args:
            parameters: (..., P), any float dtype.
            pixel: (..., C), integers in [0, levels).

        Returns:
            (...), float32 or float64.
        """

    @abstractmethod
    def level_log_probs(self, parameters: Tensor, earlier: Tensor, color: int) -> Tensor:
        """Compute the log-probabilities of every level of one colour, given the colours before it.

        Args:
            parameters: (..., P). Unless `ties_colors`, parts of later colours may hold anything.
            earlier: (..., color), integers: the colours of this pixel before `color`.
            color: in [0, C).

        Returns:
            (..., levels) nats, normalised.
        """


def at_least_float32(parameters: Tensor) -> Tensor:
    """Convert half precisions to float32; float32 and float64 stay."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))
