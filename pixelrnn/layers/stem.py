"""The first layer: a wide convolution under mask A (table 1).

Axes: `H W` image, `B` batch, `C` colours, `F` features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.steps.base import Step
from pixelrnn.layers.steps.stem import RowEndStep


class Stem(nn.Module):
    """The first convolution, under mask A; it is 7 x 7 in the paper.

    With `row_end`, every pixel also sees the last pixel of the row above, through a linear map.
    That one pixel is all that the Diagonal BiLSTM misses of its context, at any depth. The map
    begins at zero and takes no random numbers: the network begins as the one without it.

    Args:
        colors: C; of embedded symbols, the features of all of them (`CausalModel.inputs`).
        features: F.
        kernel_size: odd.
        color_groups: number of colours that see each other in order.
        row_end: add the view of the last pixel of the row above.
        conditions: what is added to the output of the convolution.
    """

    takes_context = True

    def __init__(
        self,
        colors: int,
        features: int,
        kernel_size: int,
        color_groups: int,
        row_end: bool = False,
        conditions: Conditions = NOTHING,
    ) -> None:
        super().__init__()
        size = (kernel_size, kernel_size)
        self.conv = MaskedConv2d("A", colors, features, size, color_groups, 1, conditions)
        self.row_end: nn.Linear | None = None
        if row_end:
            self.row_end = nn.utils.skip_init(nn.Linear, colors, features, bias=False)
            nn.init.zeros_(self.row_end.weight)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Apply the layer to whole images: (H, W, B, C) -> (H, W, B, F)."""
        y = self.conv(x, context)
        if self.row_end is None:
            return y
        last = F.pad(x[:-1, -1], (0, 0, 0, 0, 1, 0))  # (H, B, C): of the row above
        first_row = torch.arange(len(x), device=x.device) == 0
        seen = self.row_end(last).masked_fill(first_row[:, None, None], 0)
        return y + seen[:, None]

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`)."""
        if self.row_end is None:
            return self.conv.step(batch, width, context)
        return RowEndStep(self, batch, width, context)
