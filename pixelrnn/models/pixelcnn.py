"""PixelCNN (section 3.5): masked convolutions only. Fast, with a bounded, partly blind context."""

from pixelrnn.arguments import OddSize, Positive
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
