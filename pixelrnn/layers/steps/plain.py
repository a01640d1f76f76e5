"""A plain twin of every step: the same numbers, written as the equations read, slow and obvious.

A twin remembers every pixel by its position, (row, column), and uses nothing of `base` but the
contract. What is outside the image is zero, or the initial state. Tests hold the steps equal to
their twins. Axes: `B` batch, `F` features.
"""

import torch
from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.conditioning import Conditioning
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.masked_conv import MaskedWeight
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.layers.stem import Stem
from pixelrnn.layers.vertical_stack import FullWidthConv, VerticalLayer, VerticalStack
from pixelrnn.ops import masks
from pixelrnn.ops.conv_lstm.reference import equation_3


class Pixels:
    """One tensor (B, F) for each position; `outside` where nothing is known."""

    def __init__(self, outside: Tensor, batch: int) -> None:
        self.outside = outside.expand(batch, -1)
        self.known: dict[tuple[int, int], Tensor] = {}

    def __getitem__(self, position: tuple[int, int]) -> Tensor:
        return self.known.get(position, self.outside)

    def set(self, position: tuple[int, int], group: slice, values: Tensor) -> None:
        """Set the features of one colour group."""
        self.known[position] = self[position].clone()
        self.known[position][:, group] = values


class PlainContext:
    """V vector + U map[r, c], (B, out); zeros (1, out) if a layer is not conditioned."""

    def __init__(self, layer: Conditioning | None, context: Context | None, bias: Tensor) -> None:
        nothing = torch.zeros_like(bias).expand(1, 1, 1, -1)
        self.added = nothing if layer is None else layer(context)  # 1 for what is the same

    def __getitem__(self, position: tuple[int, int]) -> Tensor:
        height, width = self.added.shape[:2]
        return self.added[position[0] % height, position[1] % width]


class PlainConv:
    """y[r, c] = bias + context + sum over taps of weight[tap] @ x[r - up, c - left].

    Colours that are still to come are 0 in x.
    """

    def __init__(
        self,
        conv: MaskedWeight,
        batch: int,
        context: Context | None = None,
        parts: int | None = None,
    ) -> None:
        self.context = PlainContext(conv.conditioning, context, conv.bias)
        self.parts = parts or conv.parts
        self.features = len(conv.bias) // conv.parts
        rows = self.parts * self.features
        self.weight, self.bias = conv.masked_weight()[:rows], conv.bias[:rows]
        self.groups_in = masks.group_slices(self.weight.shape[1], conv.color_groups)
        self.group_of = masks.group_index(self.features, conv.color_groups, self.parts)
        self.x = Pixels(self.bias.new_zeros(self.weight.shape[1]), batch)
        self.row = 0

    def begin_row(self, row: int) -> None:
        """Stand before a row."""
        self.row = row

    def see(self, x: Tensor, column: int, group: int) -> None:
        """Take in an input of one colour group."""
        self.x.set((self.row, column), self.groups_in[group], x)

    def outputs(self, column: int, group: int) -> Tensor:
        """Sum over the taps: (B, out of the group), part by part."""
        _, _, rows, taps = self.weight.shape
        y = self.bias + self.context[self.row, column][:, : len(self.bias)]
        for up in range(rows):
            for tap in range(taps):
                left, weight = taps // 2 - tap, self.weight[:, :, rows - 1 - up, tap]
                y = y + self.x[self.row - up, column - left] @ weight.t()
        return y[:, self.group_of == group]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at a pixel of this row: (B, out of group)."""
        self.see(x, column, group)
        return self.outputs(column, group)


class PlainInputConv(PlainConv):
    """The same under mask A: `see` has told it all that the mask shows."""

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at a pixel of this row: (B, out of group)."""
        return self.outputs(column, group)


class PlainRowEnd(PlainInputConv):
    """The stem's convolution plus row_end @ x[r - 1, W - 1]."""

    def __init__(self, stem: Stem, batch: int, width: int, context: Context | None = None) -> None:
        super().__init__(stem.conv, batch, context)
        assert stem.row_end is not None
        self.row_end, self.last = stem.row_end, width - 1

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at a pixel of this row: (B, out of group)."""
        seen = self.row_end(self.x[self.row - 1, self.last])
        return self.outputs(column, group) + seen[:, self.group_of == group]


class PlainVerticalStack:
    """a[r, c] = bias + sum over taps of weight[tap] @ v[r - up, c - left]; v is gate(a) of below.

    The lowest v is the image, moved down by one row; the context is added to every a, at its own
    row. Put out are the links of every a.
    """

    def __init__(
        self, stack: VerticalStack, batch: int, width: int, context: Context | None = None
    ) -> None:
        self.layers = [layer for layer in stack.layers if isinstance(layer, VerticalLayer)]
        self.contexts = [
            PlainContext(layer.conditioning, context, layer.conv.bias) for layer in self.layers
        ]
        weights = [layer.conv.weight for layer in self.layers]
        self.v = [Pixels(weight.new_zeros(weight.shape[1]), batch) for weight in weights]
        self.links: dict[int, list[Tensor]] = {}  # of this row: column -> (B, parts * p) of each
        self.groups_in = masks.group_slices(weights[0].shape[1], stack.color_groups)
        features = len(weights[0]) // stack.parts[0]
        self.parts = stack.parts
        self.groups_out = masks.group_slices(features, stack.color_groups)
        self.width = width

    def begin_row(self, row: int) -> None:
        """Compute a whole row, layer by layer."""
        self.row, self.links = row, {column: [] for column in range(self.width)}
        for index, layer in enumerate(self.layers):
            for column, links in self.links.items():
                a = self._convolved(layer.conv, self.v[index], row - (index == 0), column)
                a = a + self.contexts[index][row, column]
                links.append(layer.link(a))
                if index + 1 < len(self.v):
                    self.v[index + 1].set((row, column), slice(None), layer.gate(a))

    def _convolved(self, conv: FullWidthConv, v: Pixels, row: int, column: int) -> Tensor:
        half = conv.kernel_size // 2
        y: Tensor = conv.bias
        for up in range(half + 1):
            for left in range(-half, half + 1):
                tap = conv.weight[:, :, half - up, half - left]
                y = y + v[row - up, column - left] @ tap.t()
        return y

    def see(self, x: Tensor, column: int, group: int) -> None:
        """Take in the pixels of one colour group."""
        self.v[0].set((self.row, column), self.groups_in[group], x)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the links of one colour group at a pixel of this row: (B, out of group)."""
        of_layers = zip(self.links[column], self.parts, strict=True)
        shares = [share for link, parts in of_layers for share in link.chunk(parts, dim=-1)]
        return torch.cat([share[:, self.groups_out[group]] for share in shares], dim=-1)


class PlainRowLSTM:
    """The gates at [r, c] are conv(x)[r, c] + sum over k of h[r - 1, c + k - K // 2] @ U[k].

    The cell state is that of the pixel above, [r - 1, c].
    """

    def __init__(self, layer: RowLSTMLayer, batch: int, context: Context | None = None) -> None:
        self.gates = PlainConv(layer.input_to_state, batch, context)
        self.kernel = layer.state.weight[0]  # (K, F, 4F)
        self.hidden = Pixels(layer.state.hidden[0], batch)
        self.cell = Pixels(layer.state.cell[0], batch)
        self.groups = masks.group_slices(self.kernel.shape[1], layer.input_to_state.color_groups)

    def begin_row(self, row: int) -> None:
        """Stand before a row."""
        self.gates.begin_row(row)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at a pixel of this row: (B, out of group)."""
        row, taps = self.gates.row, len(self.kernel)
        mine = self.gates.group_of == group
        gates = self.gates(x, column, group)
        for k in range(taps):
            gates = gates + self.hidden[row - 1, column + k - taps // 2] @ self.kernel[k][:, mine]
        features = self.groups[group]
        *_, cell, hidden = equation_3(gates, self.cell[row - 1, column][:, features])
        self.hidden.set((row, column), features, hidden)
        self.cell.set((row, column), features, cell)
        return hidden


class PlainDiagonalBiLSTM:
    """left[r, c] + right[r - 1, c], of two recurrences from the two upper corners.

    Each reads h of its upper neighbour and of the neighbour on the side it comes from, and the cell
    state of the latter.
    """

    def __init__(
        self,
        layer: DiagonalBiLSTMLayer,
        batch: int,
        width: int,
        context: Context | None = None,
    ) -> None:
        conv, self.width, features = layer.input_to_state, width, layer.state.weight.shape[2]
        self.gates = PlainConv(conv, batch, context, parts=4)
        self.weight = conv.masked_weight()[4 * features :, :, 0, 0]  # of the right: (4F, in)
        self.bias = conv.bias[4 * features :]
        self.kernels = layer.state.weight  # (D, 2, F, 4F): above, neighbour
        self.hidden = [Pixels(initial, batch) for initial in layer.state.hidden]
        self.cell = [Pixels(initial, batch) for initial in layer.state.cell]
        self.groups = masks.group_slices(features, conv.color_groups)

    def begin_row(self, row: int) -> None:
        """Run the direction from the right over the complete row above."""
        above, right = self.kernels[1]
        for column in reversed(range(self.width if row else 0)):
            gates = self.bias + self.gates.x[row - 1, column] @ self.weight.t()
            gates = gates + self.gates.context[row - 1, column][:, len(self.bias) :]
            gates = gates + self.hidden[1][row - 2, column] @ above
            gates = gates + self.hidden[1][row - 1, column + 1] @ right
            *_, cell, hidden = equation_3(gates, self.cell[1][row - 1, column + 1])
            self.hidden[1].set((row - 1, column), slice(None), hidden)
            self.cell[1].set((row - 1, column), slice(None), cell)
        self.gates.begin_row(row)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at a pixel of this row: (B, out of group)."""
        row, features = self.gates.row, self.groups[group]
        above, left = self.kernels[0][..., self.gates.group_of == group]
        gates = self.gates(x, column, group)
        gates = gates + self.hidden[0][row - 1, column] @ above
        gates = gates + self.hidden[0][row, column - 1] @ left
        *_, cell, hidden = equation_3(gates, self.cell[0][row, column - 1][:, features])
        self.hidden[0].set((row, column), features, hidden)
        self.cell[0].set((row, column), features, cell)
        return hidden + self.hidden[1][row - 1, column][:, features] if row else hidden
