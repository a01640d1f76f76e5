"""Units: nats per image against bits per dimension (section 5.1)."""

import math
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor

Number = TypeVar("Number", float, Tensor)


def bits_per_dim(log_prob: Number, image_shape: Sequence[int]) -> Number:
    """Convert the log-probability of a whole image in nats to bits per dimension (per sub-pixel).

    Args:
        log_prob: nats, a number or a tensor of any shape; log p, so not positive.
        image_shape: (C, H, W).
    """
    return nats_to_bits_per_dim(-log_prob, image_shape)


def nats_to_bits_per_dim(nats: Number, image_shape: Sequence[int]) -> Number:
    """Convert what is counted in nats per image, a mean or its error, to bits per dimension.

    Args:
        nats: a number or a tensor of any shape.
        image_shape: (C, H, W).
    """
    return nats / (math.log(2) * math.prod(image_shape))
