"""PixelCNN (section 3.5): masked convolutions only. Fast, with a bounded, partly blind context."""

from pixelrnn.arguments import ImageShape, Levels, OddSize, Positive, checked
from pixelrnn.layers.blocks import ConvBlock
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.models.stack import StackModel, color_groups


class PixelCNN(StackModel):
    """The paper's PixelCNN; the defaults are its CIFAR-10 settings.

    Args:
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.
        hidden: h; the stream between blocks is 2h wide.
        layers: residual blocks.
        residual: add a block's input to its output.
        skip: learnt connections from each block to the head.
        kernel_size: of the blocks' convolutions, odd.
        first_kernel_size: of the first convolution (mask A), odd.
        color_conditioning: False: channels do not see each other inside a pixel.
        head_width: None: 1024 for 256 levels, 32 for binary, 128 between.
        likelihood: None: Bernoulli for two levels, else categorical.
        checkpoint_layers: compute blocks again in the backward instead of keeping them.
    """

    @checked
    def __init__(
        self,
        image_shape: ImageShape,
        levels: Levels = 256,
        hidden: Positive = 128,
        layers: Positive = 15,
        residual: bool = True,
        skip: bool = True,
        kernel_size: OddSize = 3,
        first_kernel_size: OddSize = 7,
        color_conditioning: bool = True,
        head_width: Positive | None = None,
        likelihood: Likelihood | None = None,
        checkpoint_layers: bool = False,
    ) -> None:
        groups = color_groups(image_shape[0], color_conditioning)
        super().__init__(
            image_shape,
            levels,
            likelihood,
            hidden=hidden,
            blocks=[ConvBlock(hidden, kernel_size, groups, residual) for _ in range(layers)],
            skip=skip,
            first_kernel_size=first_kernel_size,
            color_conditioning=color_conditioning,
            head_width=head_width,
            checkpoint_layers=checkpoint_layers,
        )
