"""Gates, each from two halves of the features (`ops/gates`), and initial weights around them.

Initial weights have variance 1 / (3 * inputs), so that a layer's output has a third of its input's
second moment. A gate leaves a quarter of what is small: tanh(a) * sigmoid(b) is a / 2 near zero.
Through twenty gated layers without residuals nothing would be left of the image, nor of its
gradient. The factors make up for it; the papers do not state their initial weights.
"""

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from pixelrnn.ops import gates

KEPT = math.sqrt(3)
"""Of initial weights: the output's second moment is then the input's."""

KEPT_BEHIND_GATE = 2 * KEPT
"""Of initial weights that see what a gate has put out: the second moment is then what it was before
the gate, as long as that is small."""

FirstGate = Literal["squashed", "linear", "none"]
"""The gate of the first layer of a network: tanh(a) * sigmoid(b), a * sigmoid(b), or a alone."""


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


def no_gate(x: Tensor) -> Tensor:
    """Return the features as they are: (..., p)."""
    return x


FIRST_GATES: dict[FirstGate, Callable[[Tensor], Tensor]] = {
    "squashed": gate,
    "linear": linear_gate,
    "none": no_gate,
}
