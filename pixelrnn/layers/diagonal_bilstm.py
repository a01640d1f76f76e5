"""Diagonal BiLSTM (section 3.2): one diagonal at once, from both upper corners.

Axes: `D = 2` directions (from the left, from the right), `T = H + W - 1` diagonals, `H W` image,
`B` batch, `F` hidden features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.lstm_state import LSTMState, set_forget_bias
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.ops import skew
from pixelrnn.ops.conv_lstm.dispatch import conv_lstm


class DiagonalBiLSTMLayer(nn.Module):
    """Lines are skewed columns; a state reads its left and its upper neighbour.

    The direction from the right is the same recurrence on the mirrored image. Its map is shifted
    down by one row before the two are added: at its own row it would hold pixels to the right.

    Args:
        in_features: features in.
        hidden: features out, F.
        groups: number of colours that see each other in order.
        forget_bias: initial bias of the forget gate.
        learned_initial_state: False starts from zero.
        kernel: rung of `conv_lstm`.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        groups: int,
        *,
        forget_bias: float,
        learned_initial_state: bool,
        kernel: str,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.input_to_state = MaskedConv2d("B", in_features, hidden, (1, 1), groups, blocks=8)
        set_forget_bias(self.input_to_state.bias, hidden, forget_bias)
        self.state = LSTMState(2, 2, hidden, learned_initial_state)

    def forward(self, x: Tensor) -> Tensor:
        """(H, W, B, in) -> (H, W, B, F)."""
        height, width = x.shape[:2]
        from_left, from_right = self.input_to_state(x).chunk(2, dim=-1)  # 2 x (H, W, B, 4F)
        gates = torch.stack([skew.skew(from_left), skew.skew(from_right.flip(1))])
        states = conv_lstm(
            gates,
            self.state.weight,
            self.state.hidden,
            self.state.cell,
            pad_before=1,
            held=skew.before_image(height, width, x.device),
            kernel=self.kernel,
        )  # (D, T, H, B, F)
        left = skew.unskew(states[0], width)
        right = skew.unskew(states[1], width).flip(1)
        return left + F.pad(right, (0, 0, 0, 0, 0, 0, 1, 0))[:height]
