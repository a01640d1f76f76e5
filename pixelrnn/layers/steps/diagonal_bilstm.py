"""Diagonal BiLSTM at one position (section 3.2).

Axes: `B` batch, `W` width of the image, `F` hidden features.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import Memory, PerColumn, State, Step, cell_steps, views
from pixelrnn.layers.steps.conditioning import adding, context_term
from pixelrnn.layers.steps.masked_conv import MaskedConvStep
from pixelrnn.ops import masks
from pixelrnn.ops.conv_lstm.single_position import advance_of
from pixelrnn.ops.few_rows import product
from pixelrnn.ops.recorded import Recording, added
from pixelrnn.ops.tapes import Tapes

if TYPE_CHECKING:
    from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer


@dataclass
class DiagonalState(State):
    """What the direction from the left remembers, and what the other direction adds to this row.

    Attributes:
        hidden: (B, 1 + W, F), h of the row above, overwritten from left to right by h of this row;
            its first column is left of the image and stays at the initial state.
        cell: (B, F), c of the left neighbour.
        from_right: (B, W, F), h of the other direction in the row above; 0 above the first row.
    """

    hidden: Tensor
    cell: Tensor
    from_right: Tensor


class DiagonalBiLSTMStep(Step):
    """The direction from the left walks along; the other one scans each row when it is complete.

    The direction from the right is shifted down by one row, so that what it adds to a row is known
    when the row begins: a scan of the complete row above.

    Args:
        layer: the layer.
        batch: B.
        width: W.
        context: what the images are conditioned on.
    """

    repeats = True

    def __init__(
        self, layer: "DiagonalBiLSTMLayer", batch: int, width: int, context: Context | None = None
    ) -> None:
        conv, hidden = layer.input_to_state, layer.state.hidden[0]
        self.gates = MaskedConvStep(conv, batch, width, context, parts=4)
        self.right = RightScan(layer, batch, width, context)
        above, left = layer.state.weight[0][..., self.gates.order]  # (F, 4F)
        self.above, self.left = product(above), product(left)
        self.first_cell = layer.state.cell[0]  # (F,)
        self.groups = masks.group_slices(len(hidden), conv.color_groups)
        self.state = DiagonalState(
            hidden=hidden.repeat(batch, 1 + width, 1),
            cell=self.first_cell.repeat(batch, 1),
            from_right=hidden.new_zeros(batch, width, len(hidden)),
        )
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        state, terms = self.state, self.gates.state.terms
        self.add_above = self.above.add(terms.flatten(0, 1))
        left = self.left
        self.add_left = PerColumn(lambda column: left.add(terms[:, column]))
        self.lefts = state.hidden.unbind(1)
        self.from_right = views(state.from_right, self.groups)
        cell = [state.cell[:, group] for group in self.groups]
        cells = PerColumn(lambda column: cell)
        hiddens = views(state.hidden[:, 1:], self.groups)
        self.advance = cell_steps(self.gates.outputs, cells, hiddens)

    def begin_row(self, row: int) -> None:
        """Scan the complete row above from the right; add what its states add to this row."""
        if row > 0:
            inputs_above = self.gates.state.rows[:, -1]  # (B, W, in), until gates.begin_row
            self.state.from_right.copy_(self.right.scan(inputs_above, row - 1))
        self.gates.begin_row(row)
        self.add_above(self.state.hidden[:, 1:].flatten(0, 1))
        self.state.cell.copy_(self.first_cell)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step.__call__`."""
        if group == 0:
            self.add_left[column](self.lefts[column])
        self.gates(x, column, group)
        return added(self.advance[column][group](), self.from_right[column][group])


@dataclass
class RightState(State):
    """What the direction from the right remembers.

    Attributes:
        hidden: (B, W + 1, F), h of the row scanned last; its last column is right of the image and
            stays at the initial state.
        cell: (B, F), c of the right neighbour, while a row is scanned.
        gates: (B, W, 4F), of the row that is scanned.
    """

    hidden: Tensor
    cell: Tensor
    gates: Tensor


class RightScan(Memory):
    """The direction from the right, row by row.

    Args:
        layer: the layer.
        batch: B.
        width: W.
        context: what the images are conditioned on.
    """

    def __init__(
        self, layer: "DiagonalBiLSTMLayer", batch: int, width: int, context: Context | None = None
    ) -> None:
        conv, hidden = layer.input_to_state, layer.state.hidden[1]
        weight = conv.masked_weight()[:, :, 0, 0].chunk(2)[1].t()  # (in, 4F)
        above, right = layer.state.weight[1]  # (F, 4F)
        self.weight, self.above, self.right = product(weight), product(above), product(right)
        self.bias = conv.bias.chunk(2)[1]  # (4F,)
        self.first_cell = layer.state.cell[1]  # (F,)
        second = slice(4 * len(hidden), None)
        self.context = context_term(conv.conditioning, context, batch, second)
        self.state = RightState(
            hidden=hidden.repeat(batch, width + 1, 1),
            cell=self.first_cell.repeat(batch, 1),
            gates=hidden.new_empty(batch, width, 4 * len(hidden)),
        )
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        state, right = self.state, self.right
        gates, cell, hidden = state.gates, state.cell, state.hidden
        self.set_inputs = self.weight.add(gates.flatten(0, 1), self.bias)
        self.add_context = adding(self.context, gates)
        self.add_above = self.above.add(gates.flatten(0, 1))
        self.add_right = PerColumn(lambda column: right.add(gates[:, column]))
        self.advance = PerColumn(
            lambda column: advance_of(gates[:, column], cell, hidden[:, column])
        )
        self.tapes = Tapes(1, gates.shape[1], gates)

    def scan(self, inputs: Tensor, row: int) -> Tensor:
        """Scan a row: inputs (B, W, in) -> states (B, W, F), valid until the next row."""
        above = self.state.hidden[:, :-1]
        self.set_inputs(inputs.flatten(0, 1))
        self.add_context(row)
        self.add_above(above.flatten(0, 1))
        self.state.cell.copy_(self.first_cell)
        for column in reversed(range(above.shape[1])):
            if (tape := self.tapes.tape(0)) is not None:
                tape.down_from(column)
                break
            if self.tapes.wanted:
                self.tapes.record(column, 0, partial(self._advance, column))
            else:
                self._advance(column)
        return above

    def _advance(self, column: int, recording: Recording | None = None) -> None:
        self.add_right[column](self.state.hidden[:, column + 1])
        self.advance[column]()
