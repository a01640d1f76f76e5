"""Calls the fused cell of `cell.cpp`."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler

SOURCE = Path(__file__).with_name("cell.cpp")
NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


def load(dtype: torch.dtype) -> tuple[Callable[..., None], Callable[..., None]]:
    """Forward and backward of `cell`, compiled, for gates of this dtype.

    Raises:
        CompilerError: no compiler, or it failed, or the dtype is not served.
    """
    run_forward, run_backward = _function("forward", dtype), _function("backward", dtype)

    def forward(*tensors: Tensor) -> None:
        run_forward(*_arguments(tensors))

    def backward(*tensors: Tensor | None) -> None:
        run_backward(*_arguments(tensors))

    return forward, backward


def bound_forward(*tensors: Tensor) -> Callable[[], None]:
    """`cell.forward` of the same tensors again and again: their addresses are looked up once.

    Raises:
        CompilerError: as `load`, for the dtype of the first.
    """
    run, arguments = _function("forward", tensors[0].dtype), _arguments(tensors)

    def forward() -> None:
        run(*arguments)

    forward.tensors = tensors  # kept alive as long as their addresses are used
    return forward


def _function(name: str, dtype: torch.dtype) -> Callable[..., None]:
    if dtype not in NAMES:
        raise CompilerError(f"the native cell has no version for {dtype}")
    return getattr(compiler.library(SOURCE), f"{name}_{NAMES[dtype]}")


_Size, _Strides, _Pointers = ctypes.c_int64 * 4, ctypes.c_int64 * 16, ctypes.c_void_p * 8


def _arguments(tensors: tuple[Tensor | None, ...]) -> tuple[ctypes.Array, ...]:
    """Size (D, n, B, F), strides of directions and places, addresses.

    Batch and features of every tensor must be contiguous. The last tensor has F features.
    """
    strides, pointers = [], []
    for tensor in tensors:
        if tensor is None:
            strides += (0, 0)
            pointers.append(None)
        else:
            strides += tensor.stride()[:2]
            pointers.append(tensor.data_ptr())
    size = tensors[-1].shape
    return _Size(*size), _Strides(*strides), _Pointers(*pointers)
