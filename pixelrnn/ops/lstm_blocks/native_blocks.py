"""A stack of recurrent blocks in one C++ call (`native_blocks.cpp`): for float32 on a CPU.

A few images go through all blocks row by row, so that what one operation writes is in the cache
when the next one reads it. For the backward pass are kept x, the activations of the gates, c and h
of every block: of a Row LSTM 8h numbers for each pixel.

Axes: `H W` image, `B` batch, `h` hidden, `D` directions, `K` taps of the state-to-state kernel.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelrnn.native import compiler
from pixelrnn.ops.lstm_blocks.reference import BlockWeights

SOURCE = Path(__file__).with_suffix(".cpp")
SLOTS = 16  # as in products.hpp


def apply(
    x: Tensor,
    start: Tensor | None,
    residual: bool,
    blocks: Sequence[BlockWeights],
    asides: Sequence[Tensor],
) -> tuple[Tensor, Tensor | None]:
    """Apply blocks without their skips.

    Args:
        x: (H, W, B, 2h), float32.
        start: alike; what the second output begins with; None without asides.
        residual: False drops the addition of x.
        blocks: their skips are ignored.
        asides: (2h, h) of each block, or none.

    Returns:
        The output of the last block, and start plus the sum of `aside @ inside`.
    """
    tensors = [
        tensor
        for block in blocks
        for tensor in (
            *block.input_to_state,
            *(block.state_to_state, block.hidden, block.cell),
            *block.up,
        )
    ]
    return _LSTMBlocks.apply(x, start, residual, len(blocks), *tensors, *asides)


class _LSTMBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, start: Tensor | None, residual: bool, blocks: int, *tensors: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        start = None if start is None else start.contiguous()
        x, tensors = x.contiguous(), tuple(tensor.contiguous() for tensor in tensors)
        kept = any(ctx.needs_input_grad)
        sizes, shapes = _sizes(x, blocks, tensors)
        sizes |= {"residual": residual, "kept": kept}
        buffers = {
            name: x.new_empty(blocks, *shape) if kept else None for name, shape in shapes.items()
        }
        output, total = torch.empty_like(x), None if start is None else torch.empty_like(x)
        outputs = {"output": output, "total": total}
        _call("forward", sizes, tensors, {"input": x, "start": start} | buffers | outputs)
        if kept:
            ctx.sizes = sizes
            ctx.save_for_backward(*buffers.values(), *tensors)
        return output, total

    @staticmethod
    def backward(
        ctx: Any, grad_y: Tensor | None, grad_total: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "recurrent blocks in one call have no second derivative (create_graph=True): "
                "choose kernel.name=reference"
            )
        saved = ctx.saved_tensors
        buffers, tensors = dict(zip(BUFFERS, saved, strict=False)), saved[len(BUFFERS) :]
        names = "rows", "columns", "batch", "hidden"
        rows, columns, batch, hidden = (ctx.sizes[name] for name in names)
        grad_x = tensors[0].new_empty(rows, columns, batch, 2 * hidden)
        grad_y = None if grad_y is None else grad_y.contiguous()
        grad_total = None if grad_total is None else grad_total.contiguous()
        gradients = [torch.empty_like(tensor) for tensor in tensors]
        of_outputs = {"output_gradient": grad_y, "total_gradient": grad_total}
        of_input = {"input_gradient": grad_x}
        _call("backward", ctx.sizes, tensors, buffers | of_outputs | of_input, gradients)
        return grad_x, grad_total, None, None, *gradients


KINDS = 7
"""Tensors of a block, without what goes aside."""

SIZES = (
    *("rows", "columns", "batch", "hidden", "blocks", "directions", "stored_taps", "state_taps"),
    *("diagonal", "residual", "kept", "threads"),
)
BUFFERS = "streams", "hidden_states", "cell_states", "activations"
POINTERS = (
    *("tensors", "input", *BUFFERS, "start", "output", "total"),
    *("gradients", "output_gradient", "total_gradient", "input_gradient"),
)


class _Job(ctypes.Structure):
    """The struct Job of layout.hpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in POINTERS),
    )


def _sizes(
    x: Tensor, blocks: int, tensors: Sequence[Tensor]
) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Return the sizes of a call, and the shapes of what is kept of a block (`Store`)."""
    rows, columns, batch, _ = x.shape
    stored_taps = tensors[0].shape[-1] if tensors[0].dim() == 4 else 1
    directions, state_taps, hidden, _ = tensors[2].shape
    diagonal = directions == 2
    width, stream = hidden + -hidden % SLOTS, 2 * hidden + -2 * hidden % SLOTS
    side = 1 if diagonal else state_taps // 2
    states = directions, batch, rows + 1, columns + 2 * side, width
    shapes: tuple[tuple[int, ...], ...] = (
        (batch, rows, columns + stored_taps // 2, stream),
        *(states, states),
        (directions, batch, rows, columns, 4 * width),
    )
    numbers = rows, columns, batch, hidden, blocks, directions, stored_taps, state_taps, diagonal
    return dict(zip(SIZES, numbers, strict=False)), dict(zip(BUFFERS, shapes, strict=True))


def _call(
    name: str,
    sizes: dict[str, int],
    tensors: Sequence[Tensor],
    buffers: dict[str, Tensor | None],
    gradients: Sequence[Tensor] = (),
) -> None:
    """Call a function of native_blocks.cpp."""
    job = _Job(**sizes, threads=torch.get_num_threads())
    for field, buffer in buffers.items():
        setattr(job, field, None if buffer is None else buffer.data_ptr())
    table = _addresses(tensors, job.blocks)
    job.tensors = ctypes.addressof(table)
    if gradients:
        of_gradients = _addresses(gradients, job.blocks)
        job.gradients = ctypes.addressof(of_gradients)
    getattr(compiler.library(SOURCE), name)(ctypes.byref(job))


def _addresses(tensors: Sequence[Tensor], blocks: int) -> ctypes.Array:
    """Return the addresses of all tensors, eight a block; the last goes aside."""
    at = [tensor.data_ptr() for tensor in tensors]
    asides: Sequence[int | None] = at[KINDS * blocks :] or [None] * blocks
    table: list[int | None] = []
    for n, aside in enumerate(asides):
        table += [*at[KINDS * n : KINDS * (n + 1)], aside]
    return (ctypes.c_void_p * len(table))(*table)
