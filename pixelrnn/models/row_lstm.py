"""PixelRNN with Row LSTM layers (section 3.1): a triangular context above every pixel."""

from pixelrnn.arguments import OddSize
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.models.fields import arguments_from_fields
from pixelrnn.models.stack import LSTMStack


@arguments_from_fields
class RowLSTM(LSTMStack):
    """The paper's Row LSTM network; the defaults are its CIFAR-10 settings.

    Args:
        kernel_size: width of both convolutions of the LSTM along the row, odd.
    """

    kernel_size: OddSize = 3

    def lstm(self, settings: LSTMSettings) -> RowLSTMLayer:
        """See `LSTMStack.lstm`."""
        return RowLSTMLayer(
            2 * self.hidden,
            self.hidden,
            self.kernel_size,
            self.color_groups,
            settings,
            self.conditions,
        )
