"""Row LSTM (section 3.1): all pixels of a row at once, row after row.

Axes: `H W` image, `B` batch, `F` hidden features, `K` taps along the row.
"""

from torch import Tensor, nn

from pixelrnn.layers.apply import Context
from pixelrnn.layers.lstm_state import LSTMState, cell_steps, set_forget_bias
from pixelrnn.layers.masked_conv import MaskedConv2d, MaskedConvStep
from pixelrnn.layers.stepping import Step, views, windows
from pixelrnn.ops import masks
from pixelrnn.ops.conv_lstm.dispatch import Kernel, conv_lstm
from pixelrnn.ops.few_rows import product


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
            overwrite=True,  # neither the convolution nor its gradient needs them again
        )
        return states[0]

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """The same layer, one position at a time (see `stepping`)."""
        return RowLSTMStep(self, batch, width)


class RowLSTMStep:
    """Row LSTM at one position: it remembers h and c of the previous row.

    The state-to-state term of a row is one product when the row begins; from then on h and c of
    the previous row are overwritten by those of this row.
    """

    def __init__(self, layer: RowLSTMLayer, batch: int, width: int) -> None:
        self.gates = MaskedConvStep(layer.input_to_state, batch, width)
        weight = layer.state.weight[0]  # (K, F, 4F)
        taps, features, _ = weight.shape
        self.taps = taps
        self.state_to_state = product(weight.flatten(0, 1)[:, self.gates.order])
        self.add_states = self.state_to_state.onto(self.gates.terms.flatten(0, 1))
        self.hidden = layer.state.hidden[0].repeat(batch, width + taps - 1, 1)
        cell = layer.state.cell[0].repeat(batch, width, 1)
        groups = masks.group_slices(features, layer.input_to_state.groups)
        hiddens = views(self.hidden[:, taps // 2 :], width, groups)
        self.advance = cell_steps(self.gates.outputs, views(cell, width, groups), hiddens)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        if column == group == 0:
            self.gates.begin_row()
            self.add_states(windows(self.hidden[None], self.taps))
        self.gates.take(x, column, group)
        return self.advance[column][group]()
