"""The pointwise part of one line, equation 3 and its derivative, fused where that is possible.

The reference of equation 3 is `reference.equation_3`; of its derivative, what autograd makes of
that. `equation_3_backward` is the derivative by hand (README, "Backward"), and `native_cell`
computes both in C++: `tests/ops/conv_lstm/test_cell.py` holds each equal to the reference.

Axes: `D` directions, `n` active positions of the line, `B` batch, `F` features. Gates and their
activations are in the order o, f, i, g. The state c, and all arithmetic, is in float32 or better.
"""

import logging
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError
from pixelrnn.ops.conv_lstm import native_cell
from pixelrnn.ops.conv_lstm.interfaces import Cell, Compile
from pixelrnn.ops.conv_lstm.reference import equation_3

log = logging.getLogger(__name__)


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the state c where gates have this dtype: float32 or better."""
    return torch.promote_types(dtype, torch.float32)


def activate(gates: Tensor, products: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the activations, c and h; the arguments are those of `ForwardPass`."""
    total = gates.to(before.dtype) + products.to(before.dtype)
    o, f, i, g, c, h = equation_3(total, before)
    return torch.cat([o, f, i, g], dim=-1), c, h


def equation_3_backward(
    activations: Tensor,
    before: Tensor,
    cell: Tensor,
    grad_output: Tensor,
    grad_hidden: Tensor,
    grad_cell: Tensor,
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of the gates and of `before`, from the arguments of `BackwardPass`."""
    o, f, i, g = activations.to(cell.dtype).chunk(4, dim=-1)
    squashed = cell.tanh()
    grad_h = grad_output.to(cell.dtype) + grad_hidden.to(cell.dtype)
    grad_c = grad_cell + grad_h * o * (1 - squashed * squashed)
    grads = torch.cat(
        [
            grad_h * squashed * o * (1 - o),
            grad_c * before * f * (1 - f),
            grad_c * g * i * (1 - i),
            grad_c * i * (1 - g * g),
        ],
        dim=-1,
    )
    return grads, grad_c * f


def forward(
    gates: Tensor,
    products: Tensor,
    before: Tensor,
    cell: Tensor,
    hidden: Tensor,
    *,
    compute: Callable[..., tuple[Tensor, Tensor, Tensor]] = activate,
) -> None:
    """Do a `ForwardPass` by torch operations, or by what was compiled from them (`compute`)."""
    activations, c, h = compute(gates, products, before)
    products.copy_(activations)
    cell.copy_(c)
    hidden.copy_(h)


def backward(
    activations: Tensor,
    grad_gates: Tensor,
    grad_input: Tensor | None,
    before: Tensor,
    cell: Tensor,
    grad_output: Tensor,
    grad_hidden: Tensor,
    grad_cell: Tensor,
    *,
    compute: Callable[..., tuple[Tensor, Tensor]] = equation_3_backward,
) -> None:
    """Do a `BackwardPass` by torch operations, or by what was compiled from them (`compute`)."""
    grads, grad_before = compute(activations, before, cell, grad_output, grad_hidden, grad_cell)
    grad_cell.copy_(grad_before)
    grad_gates.copy_(grads)
    if grad_input is not None:
        grad_input.copy_(grads)


PLAIN = Cell("none", forward, backward)
"""The cell by torch operations one by one: for every device and dtype."""


@lru_cache
def cell_for(compile: Compile, device_type: str, dtype: torch.dtype) -> Cell:
    """Return the cell for gates of this dtype on this type of device.

    `auto` takes native on a CPU; without a compiler it falls back to plain torch operations, with
    one line in the log. On other devices it takes plain torch operations: inductor has been tested
    on CPUs only, so there it must be asked for by name.

    Raises:
        CompilerError: A cell was asked for by name and cannot be had.
    """
    if compile == "none" or (compile == "auto" and device_type != "cpu"):
        return PLAIN
    if compile == "inductor":
        return _inductor(device_type, dtype)
    try:
        if device_type != "cpu":
            raise CompilerError(f"the native cell runs on CPUs only, not on {device_type}")
        return Cell("native", *native_cell.load(dtype))
    except CompilerError as error:
        if compile == "native":
            raise
        log.warning("conv_lstm: the cell runs unfused, several times slower (%s)", error)
        return PLAIN


def _inductor(device_type: str, dtype: torch.dtype) -> Cell:
    """Compile both passes with torch.compile, and try both, so that a broken compiler shows here.

    Only what computes is compiled, not what writes: lines are views of one tensor, and what
    torch.compile makes of arguments that overlap and are written is wrong, or fails.
    """
    compiled = Cell(
        "inductor",
        partial(forward, compute=torch.compile(activate)),
        partial(backward, compute=torch.compile(equation_3_backward)),
    )

    def zeros(count: int, features: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        return torch.zeros(count, 1, 2, 2, features, dtype=dtype, device=device_type).unbind()

    gates, products = zeros(2, 8, dtype)
    hidden, grad_output, grad_hidden = zeros(3, 2, dtype)
    before, after, grad_cell = zeros(3, 2, state_dtype(dtype))
    try:
        with torch.no_grad():
            compiled.forward(gates, products, before, after, hidden)
            compiled.backward(
                *(products, products, None, before, after, grad_output, grad_hidden, grad_cell)
            )
    except Exception as error:  # whatever a compiler that is absent or broken makes of it
        reason = str(error).strip().splitlines()[0]
        raise CompilerError(f"torch.compile failed: {reason}") from error
    return compiled
