"""PixelCNN (section 3.5): masked convolutions only. Fast, with a bounded, partly blind context."""

from collections.abc import Sequence

from torch import Tensor

from pixelrnn.arguments import OddSize, Positive
from pixelrnn.layers import blocks
from pixelrnn.layers.apply import Run, is_whole
from pixelrnn.layers.blocks import ConvBlock
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import StackModel


@arguments_from_fields
class PixelCNN(StackModel):
    """The paper's PixelCNN; the defaults are its CIFAR-10 settings.

    Args:
        kernel_size: size of the blocks' convolutions, odd.
    """

    layers: Positive = 15
    kernel_size: OddSize = 3

    def block(self) -> ConvBlock:
        """See `StackModel.block`."""
        return ConvBlock(
            self.hidden, self.kernel_size, self.color_groups, self.residual, self.conditions
        )

    def through_blocks(
        self, x: Tensor, run: Run, others: Sequence[tuple[Tensor, ...]] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """See `StackModel.through_blocks`; all blocks at once, where that can be."""
        if is_whole(run):
            done = blocks.at_once(self.blocks, self.skips, x, self.checkpoint_layers)
            if done is not None:
                return done
        return super().through_blocks(x, run, others)
