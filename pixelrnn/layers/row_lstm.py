"""Row LSTM (section 3.1): all pixels of a row at once, row after row.

Axes: `H W` image, `B` batch, `F` hidden features.
"""

from torch import Tensor, nn

from pixelrnn.layers.lstm_state import LSTMState, set_forget_bias
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.ops.conv_lstm.dispatch import Kernel, conv_lstm


class RowLSTMLayer(nn.Module):
    """Lines are image rows; both kernels are `kernel_size` wide along the row.

    Args:
        in_features: features in.
        hidden: features out, F.
        kernel_size: odd width of the input-to-state (mask B) and state-to-state convolutions.
        groups: number of colours that see each other in order.
        forget_bias: initial bias of the forget gate.
        learned_initial_state: False starts from zero.
        kernel: rung of `conv_lstm`.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        kernel_size: int,
        groups: int,
        *,
        forget_bias: float,
        learned_initial_state: bool,
        kernel: Kernel | str,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.input_to_state = MaskedConv2d(
            "B", in_features, hidden, (1, kernel_size), groups, blocks=4
        )
        set_forget_bias(self.input_to_state.bias, hidden, forget_bias)
        self.state = LSTMState(1, kernel_size, hidden, learned_initial_state)

    def forward(self, x: Tensor) -> Tensor:
        """(H, W, B, in) -> (H, W, B, F)."""
        gates = self.input_to_state(x)  # (H, W, B, 4F)
        states = conv_lstm(
            gates[None],
            self.state.weight,
            self.state.hidden,
            self.state.cell,
            pad_before=self.input_to_state.kernel_size[1] // 2,
            kernel=self.kernel,
        )
        return states[0]
