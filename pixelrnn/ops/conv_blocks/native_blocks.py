"""A stack of blocks in one C++ call (`native_blocks.cpp`): for float32 on a CPU.

It takes a few pixels through a whole block while they lie in the cache, and keeps for the backward
pass what that reads: x, inner and convolved, 4h numbers for each pixel and block. Features are
filled up with zeros to a multiple of `SLOTS`.

Axes: `H W` image, `B` batch, `h` hidden.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.native import compiler
from pixelrnn.ops import second_derivatives
from pixelrnn.ops.conv_blocks.reference import BlockWeights, one_block

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
        x: (H, W, B, stream), float32, 2h features filled up with zeros to a multiple of `SLOTS`.
        start: alike; what the second output begins with; None without asides.
        residual: False drops the addition of x.
        blocks: their skips are ignored.
        asides: (2h, h) of each block, or none.

    Returns:
        The output of the last block, and start plus the sum of `aside @ convolved`; filled up, too.
    """
    tensors = [tensor for block in blocks for pair in block[:3] for tensor in pair]
    given = [tensor.contiguous() for tensor in (x, *tensors, *asides)]
    start = None if start is None else start.contiguous()
    return _ConvBlocks.apply(given[0], start, residual, len(blocks), *given[1:])


class _ConvBlocks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, start: Tensor | None, residual: bool, blocks: int, *tensors: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        kept = any(ctx.needs_input_grad)
        height, width, batch, _ = x.shape
        _, hidden, stored_rows, size = tensors[2].shape
        slots, side = hidden + -hidden % SLOTS, size // 2
        sizes = (height, width, batch, hidden, blocks, size, size, stored_rows, residual, kept)
        streams = x.new_empty(blocks if kept else 1, *x.shape)
        inner = x.new_empty(blocks if kept else 2, height + side, width + 2 * side, batch, slots)
        convolved = x.new_empty(blocks, *x.shape[:3], slots) if kept else None
        total = None if start is None else torch.empty_like(x)
        buffers = {"input": x, "streams": streams, "inner": inner, "convolved": convolved}
        _call("forward", sizes, tensors, buffers | {"start": start, "total": total})
        if kept:
            ctx.sizes = sizes
            ctx.save_for_backward(*buffers.values(), *tensors)
        return streams[-1], total

    @staticmethod
    def backward(
        ctx: Any, grad_y: Tensor | None, grad_total: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, streams, inner, convolved, *tensors = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            return _again(x, ctx.sizes, tensors, grad_y, grad_total)
        grad_x = torch.zeros_like(x)
        if grad_y is not None:
            grad_x.copy_(grad_y)
        grad_total = None if grad_total is None else grad_total.contiguous()
        gradients = [torch.empty_like(tensor) for tensor in tensors]
        buffers = {"input": x, "streams": streams, "inner": inner, "convolved": convolved}
        of_outputs = {"gradient": grad_x, "total_gradient": grad_total}
        _call("backward", ctx.sizes, tensors, buffers | of_outputs, gradients)
        return grad_x, grad_total, None, None, *gradients


def _again(
    x: Tensor,
    sizes: Sequence[int],
    tensors: Sequence[Tensor],
    grad_y: Tensor | None,
    grad_total: Tensor | None,
) -> tuple[Tensor | None, ...]:
    """Compute the gradients by torch's operations, so that they can be differentiated."""
    hidden, blocks, residual = sizes[3], sizes[4], bool(sizes[8])
    spare = x.shape[-1] - 2 * hidden
    y, total, asides = x[..., : 2 * hidden], x.new_zeros(()), tensors[6 * blocks :]
    for n in range(blocks):
        down, down_bias, conv, conv_bias, up, up_bias = tensors[6 * n : 6 * n + 6]
        block = BlockWeights((down, down_bias), (conv, conv_bias), (up, up_bias))
        y, convolved = one_block(y, block, residual)
        if asides:
            total = total + convolved @ asides[n].t()
    ends, starts = [], []
    for output, gradient in ((y, grad_y), (total, grad_total)):
        if gradient is not None:
            ends.append(F.pad(output, (0, spare)))
            starts.append(gradient)
    found = second_derivatives.gradients(ends, (x, *tensors), starts)
    return found[0], grad_total, None, None, *found[1:]


SIZES = (
    *("rows", "columns", "batch", "hidden", "blocks", "kernel_rows", "kernel_columns"),
    *("stored_rows", "residual", "kept", "threads"),
)
POINTERS = (
    *("weights", "biases", "input", "streams", "inner", "convolved", "start", "total"),
    *("weight_gradients", "bias_gradients", "gradient", "total_gradient"),
)


class _Job(ctypes.Structure):
    """The struct Job of layout.hpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_void_p) for name in POINTERS),
    )


def _call(
    name: str,
    sizes: Sequence[int],
    tensors: Sequence[Tensor],
    buffers: dict[str, Tensor | None],
    gradients: Sequence[Tensor] = (),
) -> None:
    """Call a function of native_blocks.cpp."""
    job = _Job(*sizes, torch.get_num_threads())
    for field, buffer in buffers.items():
        setattr(job, field, None if buffer is None else buffer.data_ptr())
    weights, biases = _addresses(tensors, job.blocks)
    job.weights, job.biases = ctypes.addressof(weights), ctypes.addressof(biases)
    if gradients:
        of_weights, of_biases = _addresses(gradients, job.blocks)
        job.weight_gradients = ctypes.addressof(of_weights)
        job.bias_gradients = ctypes.addressof(of_biases)
    getattr(compiler.library(SOURCE), name)(ctypes.byref(job))


def _addresses(tensors: Sequence[Tensor], blocks: int) -> tuple[ctypes.Array, ctypes.Array]:
    """Return the addresses of all weights, four kinds a block, and those of all biases."""
    at = [tensor.data_ptr() for tensor in tensors]
    asides: Sequence[int | None] = at[6 * blocks :] or [None] * blocks
    weights: list[int | None] = []
    biases: list[int | None] = []
    for n, aside in enumerate(asides):
        weights += [*at[6 * n : 6 * n + 6 : 2], aside]
        biases += [*at[6 * n + 1 : 6 * n + 6 : 2], None]
    table = ctypes.c_void_p * (4 * blocks)
    return table(*weights), table(*biases)
