"""PixelRNN with Diagonal BiLSTM layers (section 3.2): every layer sees the whole context.

All but one pixel of it: the last of the row above, (r - 1, W - 1), is out of sight at any depth
unless the stem's window covers it. That is the paper's design: mask A hides a pixel from its own
features, and along row r - 1 only the direction from the right runs, shifted down.

`full_context` closes the hole. With "blank_column" the stem and the first LSTM work on the image
and one blank column at its right. The direction from the right begins there, where the stem shows
it the last pixel of the row, as it shows every other one. The pixel that is out of sight is then a
blank one.
"""

from collections.abc import Sequence
from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers import apply
from pixelrnn.layers.apply import Run
from pixelrnn.layers.blocks import LSTMBlock
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.stem import Stem
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import LSTMStack


@arguments_from_fields
class DiagonalBiLSTM(LSTMStack):
    """The paper's Diagonal BiLSTM network; the defaults are its CIFAR-10 settings.

    Args:
        full_context: let every pixel see the last pixel of the row above. "blank_column": through
            one blank column at the right of the image, with the weights of the network without it
            and no others, for one column more of work in the stem and the first block. A first
            kernel of 1, which shows no pixel, is refused. true: through a linear map of that pixel,
            added to the stem's output at every pixel of the row (`layers/stem.py`), as in earlier
            versions, which costs no time. experiments/blind_spot compares what they learn.
    """

    full_context: bool | Literal["blank_column"] = False

    def __post_init__(self) -> None:
        if self.full_context == "blank_column" and self.first_kernel_size == 1:
            raise ValueError(
                "full_context=blank_column needs a first_kernel_size of at least 3: "
                "a first kernel of 1 shows no pixel"
            )
        super().__post_init__()

    def first_layer(self, inputs: int, features: int) -> Stem:
        """See `StackModel.first_layer`."""
        return Stem(
            inputs,
            features,
            self.first_kernel_size,
            self.color_groups,
            row_end=self.full_context is True,
            conditions=self.conditions,
        )

    def lstm(self, settings: LSTMSettings) -> DiagonalBiLSTMLayer:
        """See `LSTMStack.lstm`."""
        return DiagonalBiLSTMLayer(
            2 * self.hidden, self.hidden, self.color_groups, settings, self.conditions
        )

    @property
    def wide_layers(self) -> tuple[nn.Module, ...]:
        """See `CausalModel.wide_layers`."""
        if self.full_context != "blank_column":
            return ()
        return self.stem, cast(LSTMBlock, self.blocks[0]).lstm

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """See `CausalModel.compose`."""
        if not (self.wide_layers and apply.is_whole(run)):
            return super().compose(pixels, run)
        wide = F.pad(pixels, (0, 0, 0, 0, 0, 1))  # (H, W + 1, B, input features)
        return self.blocks_and_head(apply.widened(run)(self.stem, wide), run)

    def through_blocks(
        self, x: Tensor, run: Run, others: Sequence[tuple[Tensor, ...]] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """See `StackModel.through_blocks`; after the first block the blank column is cut off."""
        if not (self.wide_layers and apply.is_whole(run)):
            return super().through_blocks(x, run, others)
        x, _ = self.through(self.blocks[:1], self.skips[:0], x, apply.widened(run))
        x = x[:, :-1].contiguous()
        skipped = [run(skip, x) for skip in self.skips[:1]]
        if len(self.blocks) == 1:
            return x, skipped
        x, more = self.through(self.blocks[1:], self.skips[1:], x, run)
        return x, skipped + more
