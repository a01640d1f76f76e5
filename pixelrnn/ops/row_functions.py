"""Functions of few rows: what a walk over positions does between products (`few_rows`).

Each is one C++ call, for float32 on a CPU, which a recording is told of (`recorded`), so that a
walk repeats it without Python (`tapes`). A row's result is the same to the last bit in any batch
and on any number of threads. The references are `gates.reference`, `layers.elu.reference` and
torch's `copy_`.

Axes: `B` rows, `F` features.
"""

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixelrnn.native import compiler
from pixelrnn.ops import recorded
from pixelrnn.ops.recorded import WATCHING, Value

SOURCE = Path(__file__).with_suffix(".cpp")

_Pair, _Pointers = ctypes.c_int64 * 2, ctypes.c_void_p * 2


def served(x: Tensor) -> bool:
    """Tell whether x is what the C++ code takes: rows (B, F), float32, on a CPU, no gradients.

    Args:
        x: it may be what stands for a tensor while a walk is recorded (`recorded.Value`).
    """
    rows = recorded.plain(x)
    return (
        rows.dim() == 2
        and rows.dtype == torch.float32
        and rows.device.type == "cpu"
        and (rows.stride(1) == 1 or rows.shape[1] <= 1)
        and not torch.is_grad_enabled()
        and compiler.available(SOURCE, "functions of few rows are torch's, and slower")
    )


def elu(x: Tensor) -> Tensor:
    """Compute x above 0, and exp(x) - 1 below: (B, F).

    Args:
        x: `served`; within 2e-7 of the exact value, relative to it, as torch is.
    """
    return _made("elu", x, x.shape[1])


def gated(x: Tensor, squashed: bool) -> Tensor:
    """Compute a gate: [a, b] (B, 2 F) -> (B, F).

    Args:
        x: `served`.
        squashed: tanh(a) * sigmoid(b); False: a * sigmoid(b).
    """
    return _made("gate_squashed" if squashed else "gate_linear", x, x.shape[1] // 2)


def copy(x: Tensor, to: Tensor) -> None:
    """Copy x (B, F) to memory that somebody keeps: (B, F), any dtype and device."""
    if x.shape != to.shape or not (served(x) and served(to)):
        to.copy_(x)
        recorded.refuse()
        return
    function, sizes = _call("copy", x, to)
    if (watching := WATCHING.get()) is not None:
        watching.call(function, sizes, (x, to))


def _made(name: str, x: Tensor, features: int) -> Tensor:
    """Call a function of row_functions.cpp that makes (B, features) of x."""
    rows = recorded.plain(x)
    out = rows.new_empty(rows.shape[0], features)
    function, sizes = _call(name, rows, out)
    if (watching := WATCHING.get()) is not None:
        watching.call(function, sizes, (rows,), out)
    return recorded.value(out, x.recording) if isinstance(x, Value) else out


def _call(name: str, x: Tensor, out: Tensor) -> tuple[Any, tuple[Any, Any]]:
    """Call a function of row_functions.cpp; return it and what it was given beside addresses."""
    function = getattr(compiler.library(SOURCE), name)
    size, strides = _Pair(*out.shape), _Pair(x.stride(0), out.stride(0))
    function(size, strides, _Pointers(x.data_ptr(), out.data_ptr()))
    return function, (size, strides)
