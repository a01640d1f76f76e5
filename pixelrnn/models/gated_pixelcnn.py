"""Gated PixelCNN (van den Oord et al. 2016, arXiv 1606.05328): convolutions without a blind spot.

    pixels -> vertical stack: whole rows above             -> a link to each horizontal layer
    pixels -> horizontal stack: the row at hand, and links -> head

With enough layers it sees the whole context of a pixel. What its paper leaves open is our choice:
the first layer (gated like the others, mask A, not residual, with a wider kernel), the head (that
of the PixelRNN), no skips to the head unless asked for, and initial weights that make up for what
the gates take (`layers.gate`).
"""

from torch import Tensor

from pixelrnn.arguments import OddSize, Positive, Rate
from pixelrnn.layers.apply import Run
from pixelrnn.layers.gate import FirstGate
from pixelrnn.layers.gated_block import GatedBlock
from pixelrnn.layers.vertical_stack import VerticalStack
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import StackModel


@arguments_from_fields
class GatedPixelCNN(StackModel):
    """The Gated PixelCNN; the defaults are its ImageNet settings, as far as they are stated.

    `hidden` is the number of features of each of the two stacks (p); the stream is as wide.

    Args:
        kernel_size: size of the convolutions after the first, odd; n x n above, 1 x n in the row.
        dropout: share of the gated features of each block's row that is dropped in training.
        first_gate: the gate of the first layer, which the paper leaves open. "squashed": that of
            all others. "linear": a * sigmoid(b) in the row, the gate of the PixelCNN++ and the
            PixelSNAIL, so that all later layers see levels that are not bent: worth much where
            levels are many. "none": both stacks begin as plain convolutions.
    """

    hidden: Positive = 384
    layers: Positive = 20
    skip: bool = False
    kernel_size: OddSize = 5
    dropout: Rate = 0.0
    first_gate: FirstGate = "squashed"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vertical = VerticalStack(
            self.input_features,
            self.hidden,
            self.layers + 1,
            self.first_kernel_size,
            self.kernel_size,
            self.color_groups,
            self.checkpoint_layers,
            self.conditions,
            first_gated=self.first_gate != "none",
        )

    @property
    def stream(self) -> int:
        """See `StackModel.stream`."""
        return self.hidden

    def first_layer(self, inputs: int, features: int) -> GatedBlock:
        """See `StackModel.first_layer`."""
        return GatedBlock(
            "A",
            inputs,
            features,
            self.first_kernel_size,
            self.color_groups,
            residual=False,
            conditions=self.conditions,
            gate=self.first_gate,
        )

    def block(self) -> GatedBlock:
        """See `StackModel.block`."""
        p = self.hidden
        return GatedBlock(
            "B",
            p,
            p,
            self.kernel_size,
            self.color_groups,
            self.residual,
            self.conditions,
            self.dropout,
        )

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """See `CausalModel.compose`."""
        first, *links = self.vertical.links(run(self.vertical, pixels))
        assert isinstance(self.stem, GatedBlock)
        x = self.stem.compose(pixels, run, first)
        return self.blocks_and_head(x, run, [(link,) for link in links])
