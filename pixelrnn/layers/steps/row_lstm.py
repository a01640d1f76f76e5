"""Row LSTM at one position (section 3.1, equation 3).

Axes: `B` batch, `W` width of the image, `F` hidden features, `K` taps along the row.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import State, Step, cell_steps, views, windows
from pixelrnn.layers.steps.masked_conv import MaskedConvStep
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.row_lstm import RowLSTMLayer


@dataclass
class RowLSTMState(State):
    """h and c of the row above; from left to right they are overwritten by those of this row.

    Attributes:
        hidden: (B, W + K - 1, F), padded left and right with the initial state.
        cell: (B, W, F).
    """

    hidden: Tensor
    cell: Tensor


class RowLSTMStep(Step):
    """The state-to-state term of a row is one product when the row begins.

    Args:
        layer: the layer.
        batch: B.
        width: W.
        context: what the images are conditioned on.
    """

    repeats = True

    def __init__(
        self, layer: "RowLSTMLayer", batch: int, width: int, context: Context | None = None
    ) -> None:
        self.gates = MaskedConvStep(layer.input_to_state, batch, width, context)
        weight = layer.state.weight[0]  # (K, F, 4F)
        self.taps, features, _ = weight.shape
        self.groups = masks.group_slices(features, layer.input_to_state.color_groups)
        self.state_to_state = product(weight.flatten(0, 1)[:, self.gates.order])
        self.state = RowLSTMState(
            hidden=layer.state.hidden[0].repeat(batch, width + self.taps - 1, 1),
            cell=layer.state.cell[0].repeat(batch, width, 1),
        )
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        self.add_states = self.state_to_state.add(self.gates.state.terms.flatten(0, 1))
        hiddens = views(self.state.hidden[:, self.taps // 2 :], self.groups)
        cells = views(self.state.cell, self.groups)
        self.advance = cell_steps(self.gates.outputs, cells, hiddens)

    def begin_row(self, row: int) -> None:
        """Set the gates of the whole row to what the row above and its states give."""
        self.gates.begin_row(row)
        self.add_states(windows(self.state.hidden[:, None], self.taps))

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step.__call__`."""
        self.gates(x, column, group)
        return self.advance[column][group]()
