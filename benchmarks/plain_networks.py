"""The paper's networks as they are usually written, for `benchmarks.against_plain`.

Maps are (B, F, H, W); convolutions are `conv2d` with a masked weight, padded to the map's size; a
recurrence is a loop over rows or skewed columns with one `conv2d` each, its gradient found by
autograd. Each network is made from a model of the package and starts with its weights, so that both
compute the same; `tests/benchmarks/test_against_plain.py` holds them equal.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.blocks import ConvBlock, LSTMBlock
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMState
from pixelrnn.layers.masked_conv import MaskedWeight
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.models.stack import StackModel


class MaskedConv(nn.Conv2d):
    """A convolution whose weight is multiplied with its mask."""

    def __init__(self, layer: MaskedWeight, outputs: slice = slice(None)) -> None:
        weight, bias = layer.weight[outputs], layer.bias[outputs]
        rows, columns = layer.kernel_size
        padding = (rows // 2, columns // 2)
        super().__init__(weight.shape[1], len(weight), layer.kernel_size, padding=padding)
        self.register_buffer("mask", layer.mask[outputs].to(weight.dtype))
        self.hides = not bool(layer.mask.all())  # a 1x1 of one colour is a plain one
        with torch.no_grad():
            self.weight.copy_(weight)
            self.get_parameter("bias").copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (B, in, H, W) -> (B, out, H, W)."""
        weight = self.weight * self.get_buffer("mask") if self.hides else self.weight
        return F.conv2d(x, weight, self.bias, padding=self.padding)


class Conv(nn.Module):
    """A block of the PixelCNN."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        layers = [MaskedConv(layer) for layer in (block.down, block.conv, block.up)]
        self.inside = nn.Sequential(*(part for layer in layers for part in (nn.ReLU(), layer)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, 2h, H, W) -> (B, 2h, H, W)."""
        return x + self.inside(x)


class Recurrence(nn.Module):
    """Equation 3 with the weights of one direction; gates in the order o, f, i, g.

    Args:
        state: of the layer.
        direction: whose weights.
        kernel_size: of the convolution over the line before, on the map.
        padding: (left, right, top, bottom) of that line.
    """

    def __init__(
        self,
        state: LSTMState,
        direction: int,
        kernel_size: tuple[int, int],
        padding: tuple[int, int, int, int],
    ) -> None:
        super().__init__()
        _, _, hidden, width = state.weight.shape
        self.padding = padding
        self.conv = nn.Conv2d(hidden, width, kernel_size, bias=False)
        kernel = state.weight[direction].permute(2, 1, 0)  # (4h, h, K)
        with torch.no_grad():
            self.conv.weight.copy_(kernel.reshape(self.conv.weight.shape))

    def forward(self, gates: Tensor, dim: int) -> Tensor:
        """Run over the lines along an axis: (B, 4h, H, W) -> (B, h, H, W)."""
        lines = gates.split(1, dim)
        hidden = torch.zeros_like(lines[0].chunk(4, 1)[0])
        cell, outputs = hidden, []
        for line in lines:
            o, f, i, g = (line + self.conv(F.pad(hidden, self.padding))).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            outputs.append(hidden)
        return torch.cat(outputs, dim)


class Row(nn.Module):
    """The Row LSTM layer."""

    def __init__(self, layer: RowLSTMLayer) -> None:
        super().__init__()
        self.input_to_state = MaskedConv(layer.input_to_state)
        size = layer.input_to_state.kernel_size[1]
        self.rows = Recurrence(layer.state, 0, (1, size), (size // 2, size // 2, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (B, 2h, H, W) -> (B, h, H, W)."""
        return self.rows(self.input_to_state(x), dim=2)


class Diagonal(nn.Module):
    """The Diagonal BiLSTM layer: each direction on its own, on a skewed copy of its map."""

    def __init__(self, layer: DiagonalBiLSTMLayer) -> None:
        super().__init__()
        conv, half = layer.input_to_state, len(layer.input_to_state.bias) // 2
        parts = slice(half), slice(half, None)
        self.input_to_state = nn.ModuleList(MaskedConv(conv, part) for part in parts)
        self.columns = nn.ModuleList(
            Recurrence(layer.state, direction, (2, 1), (0, 0, 1, 0)) for direction in (0, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (B, 2h, H, W) -> (B, h, H, W)."""
        left = self._direction(0, x)
        right = self._direction(1, x.flip(3)).flip(3)
        return left + F.pad(right, (0, 0, 1, 0))[:, :, :-1]

    def _direction(self, direction: int, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        gates = self.input_to_state[direction](x)
        rows = [F.pad(gates[:, :, row], (row, height - 1 - row)) for row in range(height)]
        states = self.columns[direction](torch.stack(rows, 2), dim=3)
        return torch.stack([states[:, :, row, row : row + width] for row in range(height)], 2)


class Recurrent(nn.Module):
    """A block of an LSTM."""

    def __init__(self, block: LSTMBlock) -> None:
        super().__init__()
        layer = block.lstm
        assert isinstance(layer, (RowLSTMLayer, DiagonalBiLSTMLayer))
        self.lstm = Row(layer) if isinstance(layer, RowLSTMLayer) else Diagonal(layer)
        self.up = MaskedConv(block.up)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block: (B, 2h, H, W) -> (B, 2h, H, W)."""
        return x + self.up(self.lstm(x))


def _masked(layer: nn.Module) -> MaskedConv:
    assert isinstance(layer, MaskedWeight)
    return MaskedConv(layer)


def _block(block: nn.Module) -> Conv | Recurrent:
    assert isinstance(block, (ConvBlock, LSTMBlock))
    return Conv(block) if isinstance(block, ConvBlock) else Recurrent(block)


class PlainNetwork(nn.Module):
    """Stem, residual blocks with their skips, and head of a model.

    Args:
        model: a PixelCNN, RowLSTM or DiagonalBiLSTM with residuals and skips.
    """

    def __init__(self, model: StackModel) -> None:
        super().__init__()
        self.stem = _masked(model.get_submodule("stem.conv"))
        self.blocks = nn.ModuleList(map(_block, model.blocks))
        self.skips = nn.ModuleList(map(_masked, model.skips))
        layers = [part for layer in model.head.layers for part in (nn.ReLU(), _masked(layer))]
        self.head = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the parameters of all pixels: (B, C, H, W) -> (B, P, H, W)."""
        x = self.stem(x)
        total = 0
        for block, skip in zip(self.blocks, self.skips, strict=True):
            x = block(x)
            total = total + skip(x)
        return self.head(total + x)
