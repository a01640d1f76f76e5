"""The pointwise part of equation 3 and of its backward, for one line; fused where that is possible.

Axes: `D` directions, `n` active places, `B` batch, `F` features. Gate activations are in the order
o, f, i, g. The state of the cell, and all arithmetic, is in float32 or better.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError
from pixelrnn.ops.conv_lstm import native_cell

log = logging.getLogger(__name__)

Compile = Literal["auto", "native", "inductor", "none"]
"""native: one C++ pass, CPU. inductor: torch.compile. none: torch operations one by one."""


@dataclass(frozen=True)
class Cell:
    """Both passes over one line. They write into tensors they are given and return nothing."""

    name: str
    forward: Callable[..., None]
    backward: Callable[..., None]


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of c, for gates of this dtype."""
    return torch.promote_types(dtype, torch.float32)


def advance(gates: Tensor, products: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Equation 3: activations, c and h; arguments as in `forward`."""
    o, f, i, g = (gates.to(before.dtype) + products.to(before.dtype)).chunk(4, dim=-1)
    o, f, i, g = o.sigmoid(), f.sigmoid(), i.sigmoid(), g.tanh()
    c = f * before + i * g
    return torch.cat([o, f, i, g], dim=-1), c, o * c.tanh()


def retreat(
    activations: Tensor,
    before: Tensor,
    cell: Tensor,
    grad_output: Tensor,
    grad_hidden: Tensor,
    grad_cell: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients of the gates and of `before` (README); arguments as in `backward`."""
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
    advance: Callable[..., tuple[Tensor, ...]] = advance,
) -> None:
    """Equation 3.

    Args:
        gates: (D, n, B, 4F), the input's part.
        products: (D, n, B, 4F), the state's part; overwritten by the activations.
        before: (D, n, B, F), c of the line before.
        cell: (D, n, B, F), written.
        hidden: (D, n, B, F), written.
        advance: what computes it.
    """
    activations, c, h = advance(gates, products, before)
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
    retreat: Callable[..., tuple[Tensor, ...]] = retreat,
) -> None:
    """The derivative of `forward` (README).

    Args:
        activations: (D, n, B, 4F).
        grad_gates: (D, n, B, 4F), written; may be `activations` itself.
        grad_input: (D, n, B, 4F), None, or a second place for the same values.
        before: (D, n, B, F), c of the line before.
        cell: (D, n, B, F).
        grad_output: (D, n, B, F), gradient of h from above.
        grad_hidden: (D, n, B, F), gradient of h from the line after.
        grad_cell: (D, n, B, F), gradient of c from the line after; becomes that of `before`.
        retreat: what computes it.
    """
    grads, grad_before = retreat(activations, before, cell, grad_output, grad_hidden, grad_cell)
    grad_cell.copy_(grad_before)
    grad_gates.copy_(grads)
    if grad_input is not None:
        grad_input.copy_(grads)


@lru_cache
def choose(compile: Compile, device_type: str, dtype: torch.dtype) -> Cell:
    """The cell for tensors of this kind.

    `auto` takes native on a CPU and inductor elsewhere, and without a compiler falls back to plain
    torch operations, with one line in the log.

    Raises:
        CompilerError: one of them was asked for by name and cannot be had.
    """
    if compile == "none":
        return Cell("none", forward, backward)
    wanted = compile
    if compile == "auto":
        wanted = "native" if device_type == "cpu" else "inductor"
    try:
        if wanted == "native":
            if device_type != "cpu":
                raise CompilerError(f"the native cell runs on CPUs only, not on {device_type}")
            return Cell("native", *native_cell.load(dtype))
        return _inductor(device_type, dtype)
    except CompilerError as error:
        if compile != "auto":
            raise
        log.warning("conv_lstm: the cell runs unfused, several times slower (%s)", error)
        return Cell("none", forward, backward)


def _inductor(device_type: str, dtype: torch.dtype) -> Cell:
    """torch.compile of both passes, tried out at once so that a broken compiler shows here."""
    # Only what computes is compiled, not what writes: lines are views of one tensor, and what
    # torch.compile makes of arguments that overlap and are written is wrong, or fails.
    compiled = Cell(
        "inductor",
        partial(forward, advance=torch.compile(advance)),
        partial(backward, retreat=torch.compile(retreat)),
    )
    like = {"device": device_type, "dtype": dtype}
    state = {"device": device_type, "dtype": state_dtype(dtype)}
    gates, products = torch.zeros(2, 1, 2, 2, 8, **like).unbind()
    hidden, grad_output, grad_hidden = torch.zeros(3, 1, 2, 2, 2, **like).unbind()
    before, after, grad_cell = torch.zeros(3, 1, 2, 2, 2, **state).unbind()
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
