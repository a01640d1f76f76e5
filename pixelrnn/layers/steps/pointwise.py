"""A 1 x 1 convolution under mask B at one position."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pixelrnn.layers.steps.base import State, Step
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.masked_conv import MaskedConv2d


@dataclass
class PointwiseState(State):
    """What is remembered between substeps.

    Attributes:
        outputs: (B, out), of this pixel: the sum over the colours so far.
    """

    outputs: Tensor


class PointwiseStep(Step):
    """A colour's input is added, once, to the outputs of its own and all later colours.

    Args:
        conv: a 1 x 1 convolution under mask B, of one part.
        batch: B.
    """

    remembers = False
    repeats = True

    def __init__(self, conv: "MaskedConv2d", batch: int) -> None:
        weight = conv.masked_weight()[:, :, 0, 0].t()  # (in, out)
        inputs = masks.group_slices(weight.shape[0], conv.color_groups)
        self.groups = masks.group_slices(weight.shape[1], conv.color_groups)
        self.bias = conv.bias.clone()  # (out,)
        self.products = [
            product(weight[i, o.start :]) for i, o in zip(inputs, self.groups, strict=True)
        ]
        self.state = PointwiseState(weight.new_empty(batch, weight.shape[1]))
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        pixel = self.state.outputs
        self.outputs = [pixel[:, group] for group in self.groups]
        starts = [self.bias] + [None] * (len(self.groups) - 1)
        self.add = [
            product.add(pixel[:, group.start :], start)
            for product, group, start in zip(self.products, self.groups, starts, strict=True)
        ]

    def begin_row(self, row: int) -> None:
        """Do nothing: other pixels are not seen."""

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step.__call__`."""
        self.add[group](x)
        return self.outputs[group]
