"""The first layer: a wide convolution under mask A (table 1).

Axes: `H W` image, `B` batch, `C` colours, `F` features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.masked_conv import MaskedConv2d, MaskedConvStep
from pixelrnn.layers.stepping import Step
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import product


class Stem(nn.Module):
    """7 x 7 mask A in the paper.

    With `row_end`, every pixel also sees the last pixel of the row above, through a linear map.
    That one pixel is all that the Diagonal BiLSTM misses of its context, at any depth.

    Args:
        colors: C.
        features: F.
        kernel_size: odd.
        groups: number of colours that see each other in order.
        row_end: add the view of the last pixel of the row above.
    """

    def __init__(
        self, colors: int, features: int, kernel_size: int, groups: int, row_end: bool = False
    ) -> None:
        super().__init__()
        self.conv = MaskedConv2d("A", colors, features, (kernel_size, kernel_size), groups)
        self.row_end = nn.Linear(colors, features, bias=False) if row_end else None

    def forward(self, x: Tensor) -> Tensor:
        """(H, W, B, C) -> (H, W, B, F)."""
        y = self.conv(x)
        if self.row_end is None:
            return y
        last = F.pad(x[:-1, -1], (0, 0, 0, 0, 1, 0))  # (H, B, C): of the row above
        first_row = torch.arange(len(x), device=x.device) == 0
        seen = self.row_end(last).masked_fill(first_row[:, None, None], 0)
        return y + seen[:, None]

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """The same layer, one position at a time (see `stepping`)."""
        conv = MaskedConvStep(self.conv, batch, width)
        return conv if self.row_end is None else RowEndStep(self, batch, width)


class RowEndStep:
    """A stem with `row_end` at one position."""

    def __init__(self, stem: Stem, batch: int, width: int) -> None:
        self.conv = MaskedConvStep(stem.conv, batch, width)
        weight = stem.row_end.weight.t()  # (C, F)
        self.weight = product(weight)
        self.pixel = weight.new_zeros(batch, len(weight))  # (B, C)
        self.colors = self.pixel.split(masks.group_sizes(len(weight), stem.conv.groups), -1)
        self.seen = weight.new_empty(batch, weight.shape[1])
        self.see = self.weight.onto(self.seen, start=torch.zeros_like(self.seen))

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        self.colors[group - 1].copy_(x)
        y = self.conv(x, column, group)
        if column == group == 0:  # x was the end of the row above; zeros above the first row
            self.see(self.pixel)
            self.conv.terms.add_(self.seen[:, None])
        return y
