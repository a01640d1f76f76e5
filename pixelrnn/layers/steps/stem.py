"""A stem that also shows the last pixel of the row above, at one position."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import InputStep, State
from pixelrnn.layers.steps.masked_conv import InputConvStep
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.stem import Stem


@dataclass
class RowEndState(State):
    """What is remembered of the row above.

    Attributes:
        pixel: (B, C), the last pixel that was seen: when a row begins, the end of the row above.
        seen: (B, F), what it adds to every pixel of this row.
    """

    pixel: Tensor
    seen: Tensor


class RowEndStep(InputStep):
    """A stem with `row_end`: its convolution, and a linear map of one pixel, once a row.

    Args:
        stem: the layer, with `row_end`.
        batch: B.
        width: W.
        context: what the images are conditioned on.
    """

    repeats = True

    def __init__(
        self, stem: "Stem", batch: int, width: int, context: Context | None = None
    ) -> None:
        self.conv = InputConvStep(stem.conv, batch, width, context)
        assert stem.row_end is not None
        weight = stem.row_end.weight.t()  # (C, F)
        self.weight = product(weight)
        self.groups = masks.group_slices(len(weight), stem.conv.color_groups)
        self.state = RowEndState(
            pixel=weight.new_zeros(batch, len(weight)),
            seen=weight.new_zeros(batch, weight.shape[1]),
        )
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        self.colors = [self.state.pixel[:, group] for group in self.groups]
        self.set_seen = self.weight.add(self.state.seen, torch.zeros_like(self.state.seen))

    def see(self, x: Tensor, column: int, group: int) -> None:
        """See `InputStep.see`."""
        self.conv.see(x, column, group)
        self.colors[group].copy_(x)

    def begin_row(self, row: int) -> None:
        """Add what the end of the row above shows; above the first row it is zeros."""
        self.conv.begin_row(row)
        self.set_seen(self.state.pixel)
        self.conv.state.terms.add_(self.state.seen[:, None])

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step.__call__`."""
        return self.conv(x, column, group)
