"""A stack of recurrent residual blocks and their skips, line by line (section 3.3, figure 5).

    inside = LSTM x              2h to h: a Row LSTM or a Diagonal BiLSTM layer
    x      = x + up inside       1x1, h to 2h
    total  = total + skip x      1x1, 2h to 2h

Axes: `H W` image, `B` batch, `h` hidden, `D` directions, `K` taps of the state-to-state kernel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.ops import skew, tap_conv
from pixelrnn.ops.conv_lstm import reference as conv_lstm
from pixelrnn.ops.skips import Pair


class BlockWeights(NamedTuple):
    """Weights of one block; those of a 1x1 may have two axes of length 1 at the end.

    A block with one direction (D = 1) is a Row LSTM, one with two a Diagonal BiLSTM.

    Attributes:
        input_to_state: (D 4h, 2h, 1, k) and (D 4h,): gates o, f, i, g of each direction; k is odd
            and taps after the centre are not used. In a Diagonal BiLSTM k = 1.
        state_to_state: (D, K, h, 4h); K is odd in a Row LSTM and 2 in a Diagonal BiLSTM.
        hidden: (D, h), the initial h.
        cell: (D, h), the initial c.
        up: (2h, h) and (2h,).
        skip: (2h, 2h) and (2h,); None: no skip.
    """

    input_to_state: Pair
    state_to_state: Tensor
    hidden: Tensor
    cell: Tensor
    up: Pair
    skip: Pair | None = None

    @property
    def features(self) -> int:
        """Number h of features."""
        return self.hidden.shape[1]

    @property
    def diagonal(self) -> bool:
        """Whether it is a Diagonal BiLSTM."""
        return len(self.hidden) == 2


def stack(
    x: Tensor, blocks: Sequence[BlockWeights], residual: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Compute what `lstm_blocks` does, line by line; it can be differentiated again and again."""
    total = None
    for block in blocks:
        y = _pointwise(_lstm(x, block), block.up)
        x = x + y if residual else y
        if block.skip is not None:
            skipped = _pointwise(x, block.skip)
            total = skipped if total is None else total + skipped
    return x, total


def _lstm(x: Tensor, block: BlockWeights) -> Tensor:
    return _diagonal(x, block) if block.diagonal else _row(x, block)


def _row(x: Tensor, block: BlockWeights) -> Tensor:
    kernel, bias = block.input_to_state
    reach = kernel.shape[-1] // 2
    offsets = [(0, reach - tap) for tap in range(reach + 1)]
    by_tap = kernel.flatten(2)[..., : reach + 1].permute(2, 0, 1)
    gates = tap_conv.reference(x, by_tap, bias, offsets)
    pad = block.state_to_state.shape[1] // 2
    return _recurrence(gates[None], block, pad, None)[0]


def _diagonal(x: Tensor, block: BlockWeights) -> Tensor:
    height, width = x.shape[:2]
    left, right = _pointwise(x, block.input_to_state).chunk(2, dim=-1)
    gates = skew.skew(torch.stack([left, right.flip(1)]))
    states = _recurrence(gates, block, 1, skew.outside_image(height, width))
    left, mirrored = skew.unskew(states, width)
    below = torch.cat([torch.zeros_like(left[:1]), mirrored.flip(1)[:-1]])
    return left + below


def _recurrence(gates: Tensor, block: BlockWeights, pad: int, frozen: Tensor | None) -> Tensor:
    return conv_lstm.conv_lstm(gates, block.state_to_state, block.hidden, block.cell, pad, frozen)


def _pointwise(x: Tensor, pair: Pair) -> Tensor:
    weight, bias = pair
    return F.linear(x, weight.flatten(1), bias)
