"""Diagonal BiLSTM (section 3.2): one diagonal at once, from both upper corners.

Axes: `D = 2` directions (from the left, from the right), `T = H + W - 1` diagonals, `H W` image,
`B` batch, `F` hidden features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.lstm_state import LSTMState, cell_steps, set_forget_bias
from pixelrnn.layers.masked_conv import MaskedConv2d, MaskedConvStep
from pixelrnn.layers.stepping import Step, views
from pixelrnn.ops import masks, skew
from pixelrnn.ops.conv_lstm.dispatch import Kernel, conv_lstm
from pixelrnn.ops.conv_lstm.single_position import advance_of
from pixelrnn.ops.few_rows import product


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
        kernel: Kernel | str,
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.input_to_state = MaskedConv2d("B", in_features, hidden, (1, 1), groups, blocks=8)
        set_forget_bias(self.input_to_state.bias, hidden, forget_bias)
        self.state = LSTMState(2, 2, hidden, learned_initial_state)

    def forward(self, x: Tensor) -> Tensor:
        """(H, W, B, in) -> (H, W, B, F)."""
        height, width = x.shape[:2]
        states = conv_lstm(
            skew.skew(self._gates(torch.stack([x, x.flip(1)]))),
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
        """(D, H, W, B, in), the second mirrored -> (D, H, W, B, 4F), one product per direction."""
        weight = self.input_to_state.masked_weight().flatten(1).unflatten(0, (2, -1))
        bias = self.input_to_state.bias.unflatten(0, (2, 1, -1))
        gates = torch.baddbmm(bias, images.flatten(1, 3), weight.transpose(1, 2))
        return gates.unflatten(1, images.shape[1:4])

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """The same layer, one position at a time (see `stepping`)."""
        return DiagonalBiLSTMStep(self, batch, width)


class DiagonalBiLSTMStep:
    """Diagonal BiLSTM at one position: h and c of the left neighbour, h of the row above.

    The direction from the right is shifted down by one row, so that what it adds to a row is known
    when the row begins: a scan of the complete row above.
    """

    def __init__(self, layer: DiagonalBiLSTMLayer, batch: int, width: int) -> None:
        conv = layer.input_to_state
        weight, hidden, cell = layer.state.weight, layer.state.hidden, layer.state.cell
        self.gates = MaskedConvStep(conv, batch, width, blocks=4)
        above, left = weight[0][..., self.gates.order]  # (F, 4F)
        self.above, self.left = product(above), product(left)
        self.add_above = self.above.onto(self.gates.terms.flatten(0, 1))
        self.add_left = [self.left.onto(pixel) for pixel in self.gates.terms.unbind(1)]

        self.hidden = hidden[0].repeat(batch, width + 1, 1)  # (B, 1 + W, F): left of the image too
        self.first_cell = cell[0]
        self.cell = cell[0].repeat(batch, 1)  # (B, F)
        self.right = RightScan(layer, batch, width)
        self.shifted = torch.zeros_like(self.hidden[:, 1:])  # nothing is above the first row

        groups = masks.group_slices(weight.shape[2], conv.groups)
        cells = [[self.cell[:, group] for group in groups]] * width
        hiddens = views(self.hidden[:, 1:], width, groups)
        self.advance = cell_steps(self.gates.outputs, cells, hiddens)
        self.from_right = views(self.shifted, width, groups)
        self.lefts = self.hidden.unbind(1)
        self.rows_done = 0

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        if column == group == 0:
            self.begin_row()
        if group == 0:
            self.add_left[column](self.lefts[column])
        self.gates.take(x, column, group)
        return self.advance[column][group]() + self.from_right[column][group]

    def begin_row(self) -> None:
        """Scan the complete row above from the right; add what its states add to this row."""
        if self.rows_done:
            self.shifted.copy_(self.right.scan(self.gates.rows[-1]))
        self.rows_done += 1
        self.gates.begin_row()
        self.add_above(self.hidden[:, 1:].flatten(0, 1))
        self.cell.copy_(self.first_cell)


class RightScan:
    """The direction from the right, row by row; it remembers h of the row above."""

    def __init__(self, layer: DiagonalBiLSTMLayer, batch: int, width: int) -> None:
        conv, hidden, cell = layer.input_to_state, layer.state.hidden[1], layer.state.cell[1]
        weight = conv.masked_weight()[:, :, 0, 0].chunk(2)[1].t()  # (in, 4F)
        above, right = layer.state.weight[1]  # (F, 4F)
        gates = hidden.new_empty(batch, width, 4 * len(hidden))
        pixels = gates.unbind(1)
        self.weight, self.above, self.right = product(weight), product(above), product(right)
        self.set_inputs = self.weight.onto(gates.flatten(0, 1), start=conv.bias.chunk(2)[1])
        self.add_above = self.above.onto(gates.flatten(0, 1))
        self.add_right = [self.right.onto(pixel) for pixel in pixels]
        self.hidden = hidden.repeat(batch, width + 1, 1)  # (B, W + 1, F): right of the image too
        self.first_cell = cell
        self.cell = cell.repeat(batch, 1)  # (B, F)
        self.states = self.hidden.unbind(1)
        self.advance = [
            advance_of(pixel, self.cell, state)
            for pixel, state in zip(pixels, self.states[:-1], strict=True)
        ]

    def scan(self, row: Tensor) -> Tensor:
        """Inputs of a row (B, W, in) -> its states (B, W, F), valid until the next row."""
        above = self.hidden[:, :-1]
        self.set_inputs(row.flatten(0, 1))
        self.add_above(above.flatten(0, 1))
        self.cell.copy_(self.first_cell)
        for column in reversed(range(len(self.advance))):
            self.add_right[column](self.states[column + 1])
            self.advance[column]()
        return above
