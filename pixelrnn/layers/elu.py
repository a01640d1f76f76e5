"""The exponential linear unit (Clevert et al. 2015)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def elu(x: Tensor) -> Tensor:
    """Compute x above 0, and exp(x) - 1 below.

    torch's own treats the last elements of a tensor otherwise than the rest, in their last bit:
    features at a single position would depend on the batch. It saves memory and time where
    gradients are taken.
    """
    if torch.is_grad_enabled():
        return F.elu(x)
    return x.clamp(max=0).expm1_().maximum(x)
