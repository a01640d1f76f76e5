"""Every implementation that has a faster form than its reference: the list that `doctor` goes by.

A test finds each C++ file and each rung of the recurrence that no entry names.

Axes of the sizes: those of the room where the function stands.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from pixelrnn.doctor import block_rungs, walk_rungs
from pixelrnn.doctor.rung import BFLOAT16, FLOAT32, Rung, Shapes
from pixelrnn.ops import attention, gates, native_taps, pointwise_chain, skew, tap_conv
from pixelrnn.ops.conv_lstm import dispatch, native_cell, native_loops, reference, single_position
from pixelrnn.ops.conv_lstm.dispatch import Kernel
from pixelrnn.ops.self_check import Function


def rungs() -> Iterator[Rung]:
    """Yield all implementations, in the order of the page."""
    yield from conv_lstm_rungs()
    yield single_position_rung()
    yield from tap_conv_rungs()
    yield from block_rungs.rungs()
    yield from gate_rungs()
    yield pointwise_chain_rung()
    yield attention_rung()
    yield from walk_rungs.rungs()


def conv_lstm_rungs() -> Iterator[Rung]:
    """Yield the rungs of the recurrence and their cells, for the lines of both LSTMs.

    New rungs of `dispatch.RUNGS` are found by themselves; CUDA graphs have lines of their own.
    """
    kernels = [
        Kernel(cast(dispatch.Name, name))
        for name in dispatch.RUNGS
        if name not in ("autograd", "cuda_graph")
    ]
    kernels[1:1] = [Kernel("autograd", "none"), Kernel("autograd", "native")]
    sources = {"native": native_cell.SOURCE, "native_loops": native_loops.SOURCE}
    for layer in ("row", "diagonal"):
        small, large = line_sizes(layer, 2, 5, 6, 20), line_sizes(layer, 16, 20, 20, 16)
        for kernel in kernels:
            cell = {"none": ", torch cell", "native": ", native cell"}.get(kernel.compile, "")
            only = "cpu" if kernel.compile == "native" else dispatch.RUNGS[kernel.name].device
            run = partial(_conv_lstm, kernel, *small.options)
            yield Rung(
                f"conv_lstm {layer}: {kernel.name}{cell}",
                run,
                partial(_plain_conv_lstm, *small.options),
                small.shapes,
                () if kernel.name == "reference" else large.shapes,
                scales=(1.0, small.scale, 1.0, 1.0),
                device=only,
                source=sources.get(kernel.compile) or sources.get(kernel.name),
                large_run=(
                    partial(_conv_lstm, kernel, *large.options),
                    partial(_plain_conv_lstm, *large.options),
                ),
            )


@dataclass(frozen=True)
class Lines:
    """The lines of one layer: shapes of the tensors, padding, what is frozen, scale of weights."""

    shapes: Shapes
    options: tuple[int, Tensor | None]
    scale: float


def line_sizes(layer: str, batch: int, height: int, width: int, features: int) -> Lines:
    """Return the sizes of the recurrence of a "row" or "diagonal" layer on such images."""
    if layer == "row":
        directions, steps, positions, taps, frozen = 1, height, width, 3, None
    else:
        directions, steps, positions, taps = 2, height + width - 1, height, 2
        frozen = skew.outside_image(height, width)
    gates = (directions, steps, positions, batch, 4 * features)
    weight = (directions, taps, features, 4 * features)
    initial = (directions, features)
    scale = (taps * features) ** -0.5
    return Lines((gates, weight, initial, initial), (1, frozen), scale)


def _conv_lstm(kernel: Kernel, pad: int, frozen: Tensor | None, *tensors: Tensor) -> Tensor:
    gates, weight, hidden, cell = tensors
    return dispatch.conv_lstm(
        gates, weight, hidden, cell, pad_before=pad, frozen=frozen, kernel=kernel
    )


def _plain_conv_lstm(pad: int, frozen: Tensor | None, *tensors: Tensor) -> Tensor:
    gates, weight, hidden, cell = tensors
    return reference.conv_lstm(gates, weight, hidden, cell, pad, frozen)


def single_position_rung() -> Rung:
    """Return the cell at one position, as sampling uses it."""

    def run(gates: Tensor, cell: Tensor) -> Tensor:
        buffers = gates.clone(), cell.clone(), torch.empty_like(cell)
        hidden = single_position.native(*buffers)()
        return torch.cat([buffers[1], hidden], dim=1)

    def plain(gates: Tensor, cell: Tensor) -> Tensor:
        *_, c, h = reference.equation_3(gates, cell)
        return torch.cat([c, h], dim=1)

    return Rung(
        "cell at one position",
        run,
        plain,
        ((3, 4 * 21), (3, 21)),
        ((16, 4 * 128), (16, 128)),
        differentiable=False,
        dtypes=(FLOAT32,),
        device="cpu",
        source=native_cell.SOURCE,
        bind=lambda gates, cell: single_position.native(gates, cell, torch.empty_like(cell)),
    )


def tap_conv_rungs() -> Iterator[Rung]:
    """Yield the convolution by taps, here the seven of a causal 3 x 5 kernel and its centre."""
    offsets = [(0, 0), (0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (1, 2)]
    taps = len(offsets)
    for name, native in (("products", False), ("native", True)):
        yield Rung(
            f"tap_conv: {name}",
            partial(_tap_conv, partial(tap_conv.tap_conv, native=native), offsets),
            partial(_tap_conv, tap_conv.reference, offsets),
            ((3, 4, 2, 17), (taps, 19, 17), (19,)),
            ((28, 28, 16, 32), (taps, 32, 32), (32,)),
            scales=(1.0, (taps * 17) ** -0.5, 1.0),
            dtypes=(FLOAT32,) if native else (FLOAT32, BFLOAT16),
            device="cpu" if native else None,
            source=native_taps.SOURCE if native else None,
        )


def _tap_conv(
    convolve: Function, offsets: list[tap_conv.Offset], x: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    return convolve(x, weight, bias, offsets)


def gate_rungs() -> Iterator[Rung]:
    """Yield the gates of the Gated PixelCNN and of the PixelSNAIL."""
    for name, squashed in (("gate", True), ("gate without tanh", False)):
        yield Rung(
            name,
            partial(gates.gated, squashed=squashed),
            partial(gates.reference, squashed=squashed),
            ((3, 4, 2, 34),),
            ((28, 28, 16, 64),),
            dtypes=(FLOAT32,),
            device="cpu",
            source=gates.SOURCE,
        )


def pointwise_chain_rung() -> Rung:
    """Return the head of a network: two 1x1 convolutions, each after a ReLU."""

    def pairs(function: Callable[..., Tensor]) -> Function:
        return lambda x, *tensors: function(x, [tensors[:2], tensors[2:]])

    layers = (48, 32), (48,), (16, 48), (16,)
    return Rung(
        "pointwise_chain",
        pairs(pointwise_chain.pointwise_chain),
        pairs(pointwise_chain.reference),
        ((3, 5, 32), *layers),
        ((28, 448, 32), *layers),
        scales=(1.0, 32**-0.5, 1.0, 48**-0.5, 1.0),
        dtypes=(FLOAT32,),
        device="cpu",
        source=pointwise_chain.SOURCE,
    )


def attention_rung() -> Rung:
    """Return the attention of whole images."""
    return Rung(
        "attention",
        attention.over_earlier,
        attention.reference,
        ((2, 2, 9, 4), (2, 2, 9, 4), (2, 2, 9, 7)),
        ((4, 2, 96, 16), (4, 2, 96, 16), (4, 2, 96, 32)),
    )
