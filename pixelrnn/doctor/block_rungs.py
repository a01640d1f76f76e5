"""Stacks of residual blocks that are computed in one call: a part of the list of `rungs.py`.

Axes of the sizes: those of the room where the function stands.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from pixelrnn.doctor.rung import FLOAT32, Rung, Shapes
from pixelrnn.ops.conv_blocks import dispatch as conv_blocks
from pixelrnn.ops.conv_blocks import native_blocks
from pixelrnn.ops.conv_blocks import reference as conv_blocks_reference
from pixelrnn.ops.conv_blocks.reference import BlockWeights
from pixelrnn.ops.lstm_blocks import dispatch as lstm_blocks
from pixelrnn.ops.lstm_blocks import native_blocks as native_lstm_blocks
from pixelrnn.ops.lstm_blocks import reference as lstm_blocks_reference


def rungs() -> Iterator[Rung]:
    """Yield the stacks of all models that have one."""
    yield conv_blocks_rung()
    yield from lstm_blocks_rungs()


def conv_blocks_rung() -> Rung:
    """Return two residual blocks of PixelCNN with their skips."""
    small, scales = _block_sizes(3, 4, 2, 9)
    large, _ = _block_sizes(28, 28, 16, 16)
    return Rung(
        "conv_blocks",
        partial(_blocks, conv_blocks.conv_blocks),
        partial(_blocks, conv_blocks_reference.stack),
        small,
        large,
        scales=scales,
        dtypes=(FLOAT32,),
        device="cpu",
        source=native_blocks.SOURCE,
    )


def _block_sizes(
    height: int, width: int, batch: int, hidden: int
) -> tuple[Shapes, tuple[float, ...]]:
    """Return the shapes of the map and of the weights of two blocks, and their scales."""
    h, stream = hidden, 2 * hidden
    pairs = ((h, stream), (h,), (h, h, 3, 3), (h,), (stream, h), (stream,), (stream, stream))
    inputs = stream, 1, 5 * h, 1, h, 1, stream, 1
    shapes = ((height, width, batch, stream), *2 * (*pairs, (stream,)))
    return shapes, (1.0, *2 * tuple(number**-0.5 for number in inputs))


def _blocks(stack: Callable, x: Tensor, *tensors: Tensor) -> Tensor:
    pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
    blocks = [BlockWeights(*pairs[:4]), BlockWeights(*pairs[4:])]
    return torch.cat(stack(x, blocks), dim=-1)


def lstm_blocks_rungs() -> Iterator[Rung]:
    """Yield two recurrent blocks with their skips, of Row LSTMs and of Diagonal BiLSTMs."""
    for name, directions, taps, kernel in (("row", 1, 3, 3), ("diagonal", 2, 2, 1)):
        small, scales = _lstm_sizes((3, 4, 2), 9, directions, taps, kernel)
        large, _ = _lstm_sizes((28, 28, 16), 16, directions, taps, kernel)
        yield Rung(
            f"lstm_blocks {name}",
            partial(_lstm_blocks, lstm_blocks.lstm_blocks),
            partial(_lstm_blocks, lstm_blocks_reference.stack),
            small,
            large,
            scales=scales,
            dtypes=(FLOAT32,),
            device="cpu",
            source=native_lstm_blocks.SOURCE,
        )


def _lstm_sizes(
    pixels: tuple[int, int, int], h: int, directions: int, taps: int, kernel: int
) -> tuple[Shapes, tuple[float, ...]]:
    """Return the shapes of the map and of the weights of two blocks, and their scales."""
    gates, initial = directions * 4 * h, (directions, h)
    shapes = (
        *((gates, 2 * h, 1, kernel), (gates,), (directions, taps, h, 4 * h), initial, initial),
        *((2 * h, h), (2 * h,), (2 * h, 2 * h), (2 * h,)),
    )
    inputs = (kernel // 2 + 1) * 2 * h, 1, taps * h, 1, 1, h, 1, 2 * h, 1
    scales = tuple(number**-0.5 for number in inputs)
    return ((*pixels, 2 * h), *shapes, *shapes), (1.0, *scales, *scales)


def _lstm_blocks(stack: Callable, x: Tensor, *tensors: Tensor) -> Tensor:
    blocks = [
        lstm_blocks_reference.BlockWeights(
            (kernel, bias), state, hidden, cell, (up, up_bias), (skip, skip_bias)
        )
        for kernel, bias, state, hidden, cell, up, up_bias, skip, skip_bias in (
            tensors[:9],
            tensors[9:],
        )
    ]
    return torch.cat(stack(x, blocks), dim=-1)
