"""PixelRNN with Diagonal BiLSTM layers (section 3.2): every layer sees the whole context.

All but one pixel of it: the last of the row above, (r - 1, W - 1), is out of sight at any depth
unless the stem's window covers it. That is the paper's design: mask A hides a pixel from its own
features, and along row r - 1 only the direction from the right runs, shifted down. `full_context`
closes the hole.
"""

from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.stem import Stem
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import LSTMStack


@arguments_from_fields
class DiagonalBiLSTM(LSTMStack):
    """The paper's Diagonal BiLSTM network; the defaults are its CIFAR-10 settings.

    Args:
        full_context: let every pixel see the last pixel of the row above.
    """

    full_context: bool = False

    def first_layer(self, inputs: int, features: int) -> Stem:
        """See `StackModel.first_layer`."""
        return Stem(
            inputs,
            features,
            self.first_kernel_size,
            self.color_groups,
            row_end=self.full_context,
            conditions=self.conditions,
        )

    def lstm(self, settings: LSTMSettings) -> DiagonalBiLSTMLayer:
        """See `LSTMStack.lstm`."""
        return DiagonalBiLSTMLayer(
            2 * self.hidden, self.hidden, self.color_groups, settings, self.conditions
        )
