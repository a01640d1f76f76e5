"""Diagonal BiLSTM (section 3.2): one diagonal at once, from both upper corners.

Axes: `D = 2` directions (from the left, from the right), `T = H + W - 1` diagonals, `H W` image,
`B` batch, `F` hidden features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.lstm_state import LSTMSettings, LSTMState, set_forget_bias
from pixelrnn.layers.masked_conv import MaskedWeight
from pixelrnn.layers.steps.base import Step
from pixelrnn.layers.steps.diagonal_bilstm import DiagonalBiLSTMStep
from pixelrnn.ops import skew
from pixelrnn.ops.conv_lstm.dispatch import conv_lstm


class DiagonalBiLSTMLayer(nn.Module):
    """A layer whose lines are skewed columns; a state reads its left and its upper neighbour.

    The direction from the right is the same recurrence on the mirrored image. Its map is shifted
    down by one row before the two are added: at its own row it would hold pixels to the right.

    Args:
        in_features: features in.
        hidden: features out, F.
        color_groups: number of colours that see each other in order.
        settings: what both recurrent layers can be told.
        conditions: what is added to the input-to-state map of both directions.
    """

    takes_context = True

    def __init__(
        self,
        in_features: int,
        hidden: int,
        color_groups: int,
        settings: LSTMSettings,
        conditions: Conditions = NOTHING,
    ) -> None:
        super().__init__()
        self.kernel = settings.kernel
        self.input_to_state = MaskedWeight(
            "B", in_features, hidden, (1, 1), color_groups, 8, conditions
        )
        set_forget_bias(self.input_to_state.bias, hidden, settings.forget_bias)
        self.state = LSTMState(2, 2, hidden, settings.learned_initial_state)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Apply the layer to whole images: (H, W, B, in) -> (H, W, B, F)."""
        height, width = x.shape[:2]
        gates = self._gates(torch.stack([x, x.flip(1)]))
        if self.input_to_state.conditioning is not None:
            added = self.input_to_state.conditioning(context).unflatten(-1, (2, -1)).movedim(-2, 0)
            gates = gates.add_(torch.stack([added[0], added[1].flip(1)]))
        states = conv_lstm(
            skew.skew(gates),
            self.state.weight,
            self.state.hidden,
            self.state.cell,
            pad_before=1,
            frozen=skew.outside_image(height, width),
            kernel=self.kernel,
        )  # (D, T, H, B, F)
        left, mirrored = skew.unskew(states, width)
        return left + F.pad(mirrored.flip(1), (0, 0, 0, 0, 0, 0, 1, 0))[:height]

    def _gates(self, images: Tensor) -> Tensor:
        """Compute the gates of both directions, one product each.

        Args:
            images: (D, H, W, B, in), the second mirrored.

        Returns:
            (D, H, W, B, 4F).
        """
        weight = self.input_to_state.masked_weight().flatten(1).unflatten(0, (2, -1))
        bias = self.input_to_state.bias.unflatten(0, (2, 1, -1))
        gates = torch.baddbmm(bias, images.flatten(1, 3), weight.transpose(1, 2))
        return gates.unflatten(1, images.shape[1:4])

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`)."""
        return DiagonalBiLSTMStep(self, batch, width, context)
