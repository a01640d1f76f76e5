"""The horizontal half of a layer of the Gated PixelCNN (van den Oord et al. 2016, figure 2)."""

import torch
from torch import Tensor, nn

from pixelrnn.layers.apply import Run
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.dropout import Dropout
from pixelrnn.layers.gate import FIRST_GATES, KEPT, KEPT_BEHIND_GATE, FirstGate
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.ops import masks


class GatedBlock(nn.Module):
    """A masked 1 x n convolution to 2 p, the vertical link is added; gate, 1x1; then the input.

    Args:
        mask_type: "A" in the first layer, whose input are the pixels, "B" in all others.
        in_features: features in.
        features: p, features out.
        kernel_size: n, odd.
        color_groups: number of colours that see each other in order.
        residual: False drops the addition of the input. The first layer has none: it would show
            each pixel itself.
        conditions: what is added to both halves before the gate.
        dropout: share of the gated features that is dropped in training.
        gate: the gate; with "none" the convolution and the link have p features.
    """

    def __init__(
        self,
        mask_type: masks.MaskType,
        in_features: int,
        features: int,
        kernel_size: int,
        color_groups: int,
        residual: bool,
        conditions: Conditions = NOTHING,
        dropout: float = 0.0,
        gate: FirstGate = "squashed",
    ) -> None:
        super().__init__()
        self.residual = residual
        self.gate = FIRST_GATES[gate]
        size, parts = (1, kernel_size), 1 if gate == "none" else 2
        self.conv = MaskedConv2d(
            mask_type, in_features, features, size, color_groups, parts, conditions
        )
        self.dropout = Dropout(dropout)
        self.out = MaskedConv2d("B", features, features, (1, 1), color_groups)
        with torch.no_grad():
            if mask_type == "A":  # the stream begins as large as what its gate was given
                self.out.weight.mul_(KEPT if gate == "none" else KEPT_BEHIND_GATE)
            else:  # what a block adds is small beside the stream
                self.conv.weight.mul_(KEPT)

    def compose(self, x: Tensor, run: Run, link: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: (..., in).
            run: applies a layer (see `layers.apply`).
            link: (..., 2 p), of the vertical stack; (..., p) without a gate.

        Returns:
            (..., p).
        """
        y = run(self.out, self.dropout(self.gate(run(self.conv, x) + link)))
        return x + y if self.residual else y
