"""Equation 3 at one position while images are generated, on buffers that stay.

The reference is `reference.equation_3`; `plain` and `native` are copies of it that work in place,
and `tests/ops/conv_lstm/test_single_position.py` holds them equal to it.

Axes: `B` batch, `n` features of one colour group.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache

import torch
from torch import Tensor

from pixelrnn.ops import recorded
from pixelrnn.ops.conv_lstm import native_cell
from pixelrnn.ops.conv_lstm.cell import cell_for, state_dtype

Advance = Callable[[], Tensor]

TORCH_ONLY: ContextVar[bool] = ContextVar("TORCH_ONLY", default=False)
"""Set where every operation must be one of torch, because somebody watches them."""


def advance_of(gates: Tensor, cell: Tensor, hidden: Tensor) -> Advance:
    """Return a function that computes c and h in place each time, and returns `hidden`.

    Args:
        gates: (B, 4n) before their nonlinearity, in the order o, f, i, g; overwritten.
        cell: (B, n), c before; becomes c after.
        hidden: (B, n), written: h after.
    """
    served = gates.device.type == "cpu" and gates.dtype == state_dtype(gates.dtype)
    served = served and not TORCH_ONLY.get()
    fused = served and cell_for("auto", "cpu", gates.dtype).name == "native"
    return (native if fused else plain)(gates, cell, hidden)


def plain(gates: Tensor, cell: Tensor, hidden: Tensor) -> Advance:
    """Return what `advance_of` describes, by torch operations: for all devices and dtypes."""
    n = cell.shape[-1]
    o, f, i, g = (gates[:, k * n : (k + 1) * n] for k in range(4))
    logistic = gates[:, : 3 * n]

    def advance() -> Tensor:
        logistic.sigmoid_()
        g.tanh_()
        cell.mul_(f).addcmul_(i, g)
        hidden.copy_(cell).tanh_().mul_(o)
        recorded.refuse()  # these operations are not told
        return hidden

    return advance


def native(gates: Tensor, cell: Tensor, hidden: Tensor) -> Advance:
    """Return what `advance_of` describes, one C++ call: for float32 and float64 on CPUs.

    Raises:
        CompilerError: There is no compiler, or it failed.
    """
    products = gates[None, :, None]  # images as positions, which may have any stride
    state = cell[None, :, None]
    nothing = _zeros(gates.shape[-1], gates.dtype).expand_as(products)
    forward = native_cell.bound_forward(nothing, products, state, state, hidden[None, :, None])

    def advance() -> Tensor:
        forward()
        return hidden

    return advance


@lru_cache
def _zeros(features: int, dtype: torch.dtype) -> Tensor:
    """Return what the cell adds to its products; at one address, so that calls can be repeated."""
    return torch.zeros(1, 1, 1, features, dtype=dtype)
