"""The fused cell of `cell.cpp`, called from Python.

The C++ is a copy of `reference.equation_3` and of its derivative, `cell.equation_3_backward`;
`tests/ops/conv_lstm/test_cell.py` holds them equal.

Axes: `D` directions, `n` active positions of the line, `B` batch, `F` features.
"""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops.conv_lstm.interfaces import BackwardPass, ForwardPass
from pixelrnn.ops.recorded import WATCHING

SOURCE = Path(__file__).with_name("cell.cpp")
NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


def load(dtype: torch.dtype) -> tuple[ForwardPass, BackwardPass]:
    """Return both passes over a line (`interfaces.ForwardPass`, `BackwardPass`) for this dtype.

    Raises:
        CompilerError: There is no compiler, or it failed, or the dtype is not served.
    """
    run_forward, run_backward = _function("forward", dtype), _function("backward", dtype)

    def forward(*tensors: Tensor) -> None:
        run_forward(*_arguments(tensors))

    def backward(*tensors: Tensor | None) -> None:
        run_backward(*_arguments(tensors))

    return forward, backward


def bound_forward(*tensors: Tensor) -> Callable[[], None]:
    """Return a forward pass over these tensors, whose addresses are then looked up only once.

    Args:
        tensors: the arguments of `interfaces.ForwardPass`.

    Raises:
        CompilerError: There is no compiler, or it failed, or the dtype is not served.
    """
    run, arguments = _function("forward", tensors[0].dtype), _arguments(tensors)

    def forward(_kept: tuple[Tensor, ...] = tensors) -> None:  # as long as addresses are used
        run(*arguments)
        if (watching := WATCHING.get()) is not None:
            watching.cell(run, arguments, tensors)

    return forward


def _function(name: str, dtype: torch.dtype) -> Callable[..., None]:
    if dtype not in NAMES:
        raise CompilerError(f"the native cell has no version for {dtype}")
    return getattr(compiler.library(SOURCE), f"{name}_{NAMES[dtype]}")


_Size, _Strides, _Pointers = ctypes.c_int64 * 4, ctypes.c_int64 * 16, ctypes.c_void_p * 8


def _arguments(tensors: Sequence[Tensor | None]) -> tuple[ctypes.Array, ...]:
    """Return the size (D, n, B, F), the strides of directions and positions, and the addresses.

    Batch and features of every tensor must be contiguous. The last tensor has F features.
    """
    strides: list[int] = []
    pointers: list[int | None] = []
    size: Sequence[int] = ()
    for tensor in tensors:
        if tensor is None:
            strides += (0, 0)
            pointers.append(None)
        else:
            strides += tensor.stride()[:2]
            pointers.append(tensor.data_ptr())
            size = tensor.shape
    return _Size(*size), _Strides(*strides), _Pointers(*pointers)
