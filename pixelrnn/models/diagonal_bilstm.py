"""PixelRNN with Diagonal BiLSTM layers (section 3.2): every layer sees the whole context.

All but one pixel of it: the last of the row above, (r - 1, W - 1), is out of sight at any depth
unless the stem's window covers it. That is the paper's design: mask A hides a pixel from its own
features, and along row r - 1 only the direction from the right runs, shifted down. `full_context`
closes the hole.
"""

from pixelrnn.arguments import ImageShape, Levels, OddSize, Positive, checked
from pixelrnn.layers.blocks import LSTMBlock
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.models.stack import StackModel, color_groups
from pixelrnn.ops.conv_lstm.dispatch import Kernel


class DiagonalBiLSTM(StackModel):
    """The paper's Diagonal BiLSTM network; the defaults are its CIFAR-10 settings.

    Args:
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.
        hidden: h; the stream between blocks is 2h wide.
        layers: residual blocks.
        residual: add a block's input to its output.
        skip: learnt connections from each block to the head.
        first_kernel_size: of the first convolution (mask A), odd.
        color_conditioning: False: channels do not see each other inside a pixel.
        head_width: None: 1024 for 256 levels, 32 for binary, 128 between.
        forget_bias: initial bias of the forget gates.
        learned_initial_state: False starts the recurrence from zero.
        full_context: let every pixel see the last pixel of the row above.
        likelihood: None: Bernoulli for two levels, else categorical.
        kernel: implementation of the recurrence (`ops.conv_lstm.dispatch.Kernel`, or its name).
        checkpoint_layers: compute blocks again in the backward instead of keeping them.
    """

    @checked
    def __init__(
        self,
        image_shape: ImageShape,
        levels: Levels = 256,
        hidden: Positive = 128,
        layers: Positive = 12,
        residual: bool = True,
        skip: bool = True,
        first_kernel_size: OddSize = 7,
        color_conditioning: bool = True,
        head_width: Positive | None = None,
        forget_bias: float = 0.0,
        learned_initial_state: bool = True,
        full_context: bool = False,
        likelihood: Likelihood | None = None,
        kernel: Kernel | str = "auto",
        checkpoint_layers: bool = False,
    ) -> None:
        groups = color_groups(image_shape[0], color_conditioning)

        def block() -> LSTMBlock:
            lstm = DiagonalBiLSTMLayer(
                2 * hidden,
                hidden,
                groups,
                forget_bias=forget_bias,
                learned_initial_state=learned_initial_state,
                kernel=kernel,
            )
            return LSTMBlock(lstm, hidden, groups, residual)

        super().__init__(
            image_shape,
            levels,
            likelihood,
            hidden=hidden,
            blocks=[block() for _ in range(layers)],
            skip=skip,
            first_kernel_size=first_kernel_size,
            color_conditioning=color_conditioning,
            head_width=head_width,
            row_end=full_context,
            checkpoint_layers=checkpoint_layers,
        )
