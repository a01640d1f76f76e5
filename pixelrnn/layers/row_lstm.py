"""Row LSTM (section 3.1): all pixels of a row at once, row after row.

Axes: `H W` image, `B` batch, `F` hidden features, `K` taps along the row.
"""

from torch import Tensor, nn

from pixelrnn.layers.apply import Context
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.lstm_state import LSTMSettings, LSTMState, set_forget_bias
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.steps.base import Step
from pixelrnn.layers.steps.row_lstm import RowLSTMStep
from pixelrnn.ops.conv_lstm.dispatch import conv_lstm


class RowLSTMLayer(nn.Module):
    """A layer whose lines are image rows; both kernels are `kernel_size` wide along the row.

    Args:
        in_features: features in.
        hidden: features out, F.
        kernel_size: odd width of the input-to-state (mask B) and state-to-state convolutions.
        color_groups: number of colours that see each other in order.
        settings: what both recurrent layers can be told.
        conditions: what is added to the input-to-state map.
    """

    takes_context = True

    def __init__(
        self,
        in_features: int,
        hidden: int,
        kernel_size: int,
        color_groups: int,
        settings: LSTMSettings,
        conditions: Conditions = NOTHING,
    ) -> None:
        super().__init__()
        self.kernel = settings.kernel
        self.input_to_state = MaskedConv2d(
            "B", in_features, hidden, (1, kernel_size), color_groups, 4, conditions
        )
        set_forget_bias(self.input_to_state.bias, hidden, settings.forget_bias)
        self.state = LSTMState(1, kernel_size, hidden, settings.learned_initial_state)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Apply the layer to whole images: (H, W, B, in) -> (H, W, B, F)."""
        gates = self.input_to_state(x, context)  # (H, W, B, 4F)
        states = conv_lstm(
            gates[None],
            self.state.weight,
            self.state.hidden,
            self.state.cell,
            pad_before=self.input_to_state.kernel_size[1] // 2,
            kernel=self.kernel,
            overwrite=True,  # neither the convolution nor its gradient needs them again
        )
        return states[0]

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`)."""
        return RowLSTMStep(self, batch, width, context)
