"""A 1 x 1 convolution that knows where it stands, at one position."""

from typing import TYPE_CHECKING

from torch import Tensor

from pixelrnn.layers.places import places
from pixelrnn.layers.steps.pointwise import PointwiseStep
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.placed_conv import PlacedConv


class PlacedStep(PointwiseStep):
    """What a position adds to all its outputs is computed for a row when it begins.

    Args:
        conv: the layer.
        batch: B.
        width: W.
    """

    def __init__(self, conv: "PlacedConv", batch: int, width: int) -> None:
        self.of_place = product(conv.of_place.weight.t())
        self.size, self.width, self.row = conv.size, width, 0
        super().__init__(conv, batch)

    def bind(self) -> None:
        """See `Memory.bind`."""
        super().bind()
        pixel = self.state.outputs
        self.placed = pixel.new_empty(self.width, pixel.shape[1])  # of this row, biases included
        self.place = self.of_place.add(self.placed, self.bias)
        self.begin = [self.products[0].add(pixel, start) for start in self.placed]
        self.begin_row(self.row)

    def begin_row(self, row: int) -> None:
        """Compute what the positions of a row add."""
        self.row = row
        self.place(places(range(row, row + 1), self.width, self.size, self.placed)[0])

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step.__call__`."""
        (self.add[group] if group else self.begin[column])(x)
        return self.outputs[group]
