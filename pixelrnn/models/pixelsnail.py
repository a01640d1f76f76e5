"""PixelSNAIL (Chen et al. 2018, arXiv 1712.09763): convolutions, and attention to the whole past.

    pixels -> first layer (mask A) -> layers -> head
    a layer: gated residual blocks; attention to all earlier pixels; a gated 1x1 block joins them

A pixel attends to those before it in raster order, not to itself; the first one gets zeros.

The published numbers are of the authors' network `h12_noup_smallkey`, whose sizes are the defaults
here: no strides, one stream, blocks of 2 x 2 convolutions that see the pixel, its left, upper and
upper left neighbour, ELU, 16 features of a key and half as many of a value as of the stream; its
dropout is 0.5. With `first_kernel_size=3` the first layer sees what theirs does. What differs:

- They have a mixture that ties the colours of a pixel (`likelihood=logistic_mixture` with
  `model.color_conditioning=false`). Here colours may also see each other in order, as in the
  PixelRNN: features are then split into colour groups, and each group has heads of its own.
- They have weight normalisation, initialised from one batch. Here weights are plain, and those
  before a gate start ten times smaller.
- They tell the image from its border by a channel of ones; here biases and zeros do.
- Row and column enter a gated block of keys and queries by linear maps; there they are two of its
  features in the queries, too.
- Their head is an ELU and one 1x1; here it is that of the PixelRNN.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from pixelrnn.arguments import OddSize, Positive, Rate
from pixelrnn.layers.apply import Run
from pixelrnn.layers.attention import CausalAttention
from pixelrnn.layers.blocks import Block
from pixelrnn.layers.gated_residual import GatedResidual
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import StackModel


class SnailBlock(Block):
    """A layer of the PixelSNAIL: gated residual blocks, attention, and a block that joins them.

    Args:
        convolutions: gated residual blocks, one after the other.
        attention: from their features and the pixels.
        join: a gated 1x1 block on the features, with what was attended to beside.
    """

    def __init__(
        self,
        convolutions: list[GatedResidual],
        attention: CausalAttention,
        join: GatedResidual,
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.attention = attention
        self.join = join

    def compose(self, x: Tensor, run: Run, pixels: Tensor) -> Tensor:  # type: ignore[override]
        """Apply the layer: x (..., F), pixels, the network's input (..., inputs) -> (..., F)."""
        for block in self.convolutions:
            assert isinstance(block, GatedResidual)
            x = block.compose(x, run)
        return self.join.compose(x, run, run(self.attention, x, pixels))


@arguments_from_fields
class PixelSNAIL(StackModel):
    """The PixelSNAIL; the defaults are its CIFAR-10 sizes.

    `hidden` is the number of features of the stream.

    Args:
        kernel_size: k of the k x k convolutions of the blocks.
        convolutions: gated residual blocks in each layer, before its attention.
        key_width: features of a key, and of a query, of one head.
        value_width: features of the values of all heads, rounded up to a multiple of their number;
            None: half of `hidden`.
        heads: heads of attention, of each colour that sees others.
        dropout: share of the inner features of each gated block that is dropped in training.
    """

    hidden: Positive = 256
    layers: Positive = 12
    skip: bool = False
    first_kernel_size: OddSize = 3
    kernel_size: Positive = 2
    convolutions: Annotated[int, Field(ge=0)] = 4
    key_width: Positive = 16
    value_width: Positive | None = None
    heads: Positive = 1
    dropout: Rate = 0.0

    @property
    def stream(self) -> int:
        """See `StackModel.stream`."""
        return self.hidden

    def block(self) -> SnailBlock:
        """See `StackModel.block`."""
        _, *size = self.image_shape
        attention = CausalAttention(
            self.input_features,
            self.hidden,
            self.key_width,
            self.value_width or max(1, self.hidden // 2),
            self.heads,
            self.color_groups,
            (size[0], size[1]),
            self.dropout,
        )
        return SnailBlock(
            [self._residual(self.kernel_size) for _ in range(self.convolutions)],
            attention,
            self._residual(1, beside=attention.out_features),
        )

    def _residual(self, kernel_size: int, beside: int | None = None) -> GatedResidual:
        return GatedResidual(
            self.hidden,
            kernel_size,
            self.color_groups,
            self.residual,
            beside,
            self.conditions,
            self.dropout,
        )

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """See `CausalModel.compose`."""
        x = run(self.stem, pixels)
        return self.blocks_and_head(x, run, [(pixels,)] * self.layers)
