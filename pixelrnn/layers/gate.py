"""Gates, each from two halves of the features."""

from torch import Tensor
from torch.nn import functional as F


def gate(x: Tensor) -> Tensor:
    """Compute tanh(a) * sigmoid(b): [a, b] (..., 2 p) -> (..., p).

    The gate of the Gated PixelCNN (van den Oord et al. 2016, equation 2).

    `logsigmoid` treats the last elements of a tensor like all others, `sigmoid` does not: features
    at a single position would depend on the batch, in their last bit.
    """
    a, b = x.chunk(2, dim=-1)
    return a.tanh() * F.logsigmoid(b).exp()


def linear_gate(x: Tensor) -> Tensor:
    """Compute a * sigmoid(b): [a, b] (..., 2 p) -> (..., p).

    The gate of the PixelCNN++ and of the PixelSNAIL, which have no tanh. See `gate`.
    """
    a, b = x.chunk(2, dim=-1)
    return a * F.logsigmoid(b).exp()
