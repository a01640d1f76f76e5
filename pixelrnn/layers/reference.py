"""Both recurrent layers as section 3 of the paper reads, step by step: slow, and obvious.

Convolutions are those of torch, the skew is a copy, each direction runs on its own, and autograd
finds the gradients. The layers are held equal to this by tests and measured against it by
`benchmarks/train_step.py`. Axes: `H W` image, `B` batch, `F` hidden features, `K` taps.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMState
from pixelrnn.layers.masked_conv import MaskedWeight
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.ops.conv_lstm.reference import equation_3


def row_lstm(layer: RowLSTMLayer, x: Tensor, context: Context | None = None) -> Tensor:
    """Compute what `layer` does: (H, W, B, in) -> (H, W, B, F)."""
    conv = layer.input_to_state
    image = x.permute(2, 3, 0, 1)  # (B, in, H, W)
    padding = (0, conv.kernel_size[1] // 2)
    gates = F.conv2d(image, conv.weight * conv.mask, conv.bias, padding=padding)  # (B, 4F, H, W)
    gates = gates + _added(conv, context)
    line = _Recurrence(layer.state, 0, before=padding[1], after=padding[1], batch=len(image))
    rows = line.run(gates.unbind(2), active=[slice(None)] * len(x))
    return torch.stack(rows).permute(0, 3, 1, 2)  # rows are (B, F, W)


def diagonal_bilstm(
    layer: DiagonalBiLSTMLayer, x: Tensor, context: Context | None = None
) -> Tensor:
    """Compute what `layer` does: (H, W, B, in) -> (H, W, B, F)."""
    conv = layer.input_to_state
    image = x.permute(2, 3, 0, 1)  # (B, in, H, W)
    weights, biases = (conv.weight * conv.mask).chunk(2), conv.bias.chunk(2)
    gates = [F.conv2d(image, w, b) for w, b in zip(weights, biases, strict=True)]
    added = _added(conv, context).chunk(2, dim=1)
    left = _diagonals(layer.state, 0, gates[0] + added[0])
    mirrored = _diagonals(layer.state, 1, (gates[1] + added[1]).flip(3))
    right = mirrored.flip(3)
    shifted = torch.cat([torch.zeros_like(right[:, :, :1]), right[:, :, :-1]], dim=2)
    return (left + shifted).permute(2, 3, 0, 1)


def _added(conv: MaskedWeight, context: Context | None) -> Tensor:
    """What the context adds to the gates: (B, parts * F, H, W), or 1 for what is the same."""
    added = conv.bias.new_zeros(1, len(conv.bias), 1, 1)
    if conv.conditioning is None or context is None:
        return added
    if conv.conditioning.of_vector is not None and context.vector is not None:
        weight = conv.conditioning.of_vector.weight
        added = added + F.linear(context.vector, weight)[..., None, None]
    if conv.conditioning.of_map is not None and context.map is not None:
        added = added + F.conv2d(context.map, conv.conditioning.of_map.weight[..., None, None])
    return added


def _diagonals(state: LSTMState, direction: int, gates: Tensor) -> Tensor:
    """Run over the diagonals from the upper left corner: gates (B, 4F, H, W) -> h (B, F, H, W)."""
    batch, width4, height, width = gates.shape
    skewed = gates.new_zeros(batch, width4, height, height + width - 1)
    for row in range(height):
        skewed[:, :, row, row : row + width] = gates[:, :, row]
    active = [slice(max(0, t - width + 1), min(t + 1, height)) for t in range(height + width - 1)]
    line = _Recurrence(state, direction, before=1, after=0, batch=batch)
    lines = torch.stack(line.run(skewed.unbind(3), active), dim=3)  # (B, F, H, T)
    rows = [lines[:, :, row, row : row + width] for row in range(height)]
    return torch.stack(rows, dim=2)


class _Recurrence:
    """The recurrence with the weights of one direction, line after line."""

    def __init__(
        self, state: LSTMState, direction: int, *, before: int, after: int, batch: int
    ) -> None:
        self.kernel = state.weight[direction].permute(2, 1, 0)  # (4F, F, K), as conv1d takes it
        self.initial_hidden = state.hidden[direction].expand(batch, -1)[..., None]  # (B, F, 1)
        self.initial_cell = state.cell[direction].expand(batch, -1)[..., None]
        self.before, self.after = before, after

    def run(self, lines: tuple[Tensor, ...], active: list[slice]) -> list[Tensor]:
        """Run over lines: the gates of each, (B, 4F, L), give its hidden states, (B, F, L)."""
        places = lines[0].shape[-1]
        first_hidden = self.initial_hidden.expand(-1, -1, places)
        first_cell = self.initial_cell.expand(-1, -1, places)
        hidden, cell, outputs = first_hidden, first_cell, []
        for inputs, inside in zip(lines, active, strict=True):
            above = self.initial_hidden.expand(-1, -1, self.before)
            below = self.initial_hidden.expand(-1, -1, self.after)
            padded = torch.cat([above, hidden, below], dim=2)
            gates = inputs + F.conv1d(padded, self.kernel)
            *_, next_cell, next_hidden = equation_3(gates, cell, dim=1)
            pixels = torch.zeros(places, dtype=torch.bool, device=inputs.device)
            pixels[inside] = True
            cell = torch.where(pixels, next_cell, first_cell)
            hidden = torch.where(pixels, next_hidden, first_hidden)
            outputs.append(hidden)
        return outputs
