"""A convolution as one product per tap, in one C++ call each way (`native_taps.cpp`).

It is for float32 on CPUs. All taps of a few pixels are added up in registers, where a library goes
over the map once for each: training steps of the Gated PixelCNN are 1.2 times as fast, of the Row
LSTM 1.05 times (h = 16 and 64, one thread of AMD EPYC, AVX-512). An image's result is the same to
the last bit in any batch, and all results on any number of threads.

Axes: `H W` image, `B` batch, `I` features in, `O` features out, `K` taps.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.native import compiler

SOURCE = Path(__file__).with_suffix(".cpp")

MOST_FEATURES = 256
"""Features in or out up to which it is used; around there a library is as fast."""


def served(x: Tensor, weight: Tensor) -> bool:
    """Tell whether this takes an input (H, W, B, I) and a weight (K, O, I)."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and max(weight.shape[1:]) <= MOST_FEATURES
        and compiler.available(SOURCE, "convolutions of few features are torch's, and slower")
    )


def forward(x: Tensor, weight: Tensor, bias: Tensor, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """Do what `tap_conv.tap_conv` does, without gradients."""
    y = x.new_empty(*x.shape[:3], weight.shape[1])
    _call("forward", x, weight, offsets, bias=bias.contiguous(), y=y)
    return y


def backward(
    x: Tensor,
    weight: Tensor,
    grad_y: Tensor,
    offsets: Sequence[tuple[int, int]],
    wants_grad_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the gradients of x (None if it is not wanted), weight and bias."""
    grad_x = torch.empty_like(x) if wants_grad_x else None
    grad_weight = torch.empty(weight.shape)
    grad_bias = torch.empty(weight.shape[1])
    found = {"grad_x": grad_x, "grad_weight": grad_weight, "grad_bias": grad_bias}
    _call("backward", x, weight, offsets, grad_y=grad_y, **found)
    return grad_x, grad_weight, grad_bias


class _Job(ctypes.Structure):
    """The struct Job of native_taps.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "columns", "batch", "inputs", "outputs")),
        *((name, ctypes.c_int64) for name in ("taps", "threads")),
        *((name, ctypes.c_void_p) for name in ("ups", "lefts", "x", "weight", "bias", "y")),
        *((name, ctypes.c_void_p) for name in ("grad_y", "grad_x", "grad_weight", "grad_bias")),
    )


def _call(
    name: str,
    x: Tensor,
    weight: Tensor,
    offsets: Sequence[tuple[int, int]],
    **buffers: Tensor | None,
) -> None:
    """Call a function of native_taps.cpp."""
    x, weight = x.contiguous(), weight.contiguous()
    taps, outputs, inputs = weight.shape
    job = _Job(*x.shape[:3], inputs, outputs, taps, torch.get_num_threads())
    table = ctypes.c_int64 * taps
    ups, lefts = (table(*values) for values in zip(*offsets, strict=True))
    job.ups, job.lefts = ctypes.addressof(ups), ctypes.addressof(lefts)
    for field, buffer in {"x": x, "weight": weight, **buffers}.items():
        setattr(job, field, None if buffer is None else buffer.data_ptr())
    getattr(compiler.library(SOURCE), name)(ctypes.byref(job))
