"""Gates, each from two halves of the features (`ops/gates`)."""

from torch import Tensor

from pixelrnn.ops import gates


def gate(x: Tensor) -> Tensor:
    """Compute tanh(a) * sigmoid(b): [a, b] (..., 2 p) -> (..., p).

    The gate of the Gated PixelCNN (van den Oord et al. 2016, equation 2).
    """
    return gates.gated(x, squashed=True)


def linear_gate(x: Tensor) -> Tensor:
    """Compute a * sigmoid(b): [a, b] (..., 2 p) -> (..., p).

    The gate of the PixelCNN++ and of the PixelSNAIL, which have no tanh.
    """
    return gates.gated(x, squashed=False)
