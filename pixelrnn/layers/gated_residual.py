"""The gated residual block of the PixelCNN++ (Salimans et al. 2017), as the PixelSNAIL has it."""

import torch
from torch import Tensor

from pixelrnn.layers.apply import Run
from pixelrnn.layers.blocks import Block
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.dropout import Dropout
from pixelrnn.layers.elu import elu
from pixelrnn.layers.gate import linear_gate
from pixelrnn.layers.masked_conv import MaskedConv2d

GATED_SCALE = 0.1
"""Of the initial weights before a gate: as in the PixelCNN++, a new block hardly changes x."""


class GatedResidual(Block):
    """x + a * sigmoid(b), where [a, b] = conv(ELU(conv(ELU(x)))); all under mask B.

    With `beside`, the inner features get a 1x1 of ELU(beside), too.

    Args:
        features: F, of x and of the result.
        kernel_size: k of both k x k convolutions; at 2 they see the pixel, its left, upper and
            upper left neighbour.
        color_groups: number of colours that see each other in order.
        residual: False drops the addition of x.
        beside: number of features of `beside`; None: there is none.
        conditions: what is added to both halves before the gate.
        dropout: share of the inner features that is dropped in training.
    """

    def __init__(
        self,
        features: int,
        kernel_size: int,
        color_groups: int,
        residual: bool,
        beside: int | None = None,
        conditions: Conditions = NOTHING,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.residual = residual
        size = (kernel_size, kernel_size)
        self.conv = MaskedConv2d("B", features, features, size, color_groups)
        self.of_beside = (
            None if beside is None else MaskedConv2d("B", beside, features, (1, 1), color_groups)
        )
        self.dropout = Dropout(dropout)
        self.gate = MaskedConv2d("B", features, features, size, color_groups, 2, conditions)
        with torch.no_grad():
            self.gate.weight.mul_(GATED_SCALE)

    def compose(self, x: Tensor, run: Run, beside: Tensor | None = None) -> Tensor:
        """Apply the block.

        Args:
            x: (..., F).
            run: applies a layer (see `layers.apply`).
            beside: (..., features of it), if the block has such.

        Returns:
            (..., F).
        """
        y = run(self.conv, elu(x))
        if self.of_beside is not None and beside is not None:
            y = y + run(self.of_beside, elu(beside))
        y = linear_gate(run(self.gate, self.dropout(elu(y))))
        return x + y if self.residual else y
