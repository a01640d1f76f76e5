"""Gates, each from two halves of the features: tanh(a) * sigmoid(b), and a * sigmoid(b).

As operations of a library a gate is a dozen passes over memory, and the hyperbolic tangent alone
takes longer than what the C++ code needs for all of it, forward and backward (`gates.cpp`). With
it training steps of the Gated PixelCNN and the PixelSNAIL take a tenth less time (48 features, one
thread of AMD EPYC, AVX-512). Gates of few rows, as at a single position, are those of
`row_functions`. An image's result is the same to the last bit in any batch and on any number of
threads.

Axes: `H W` image, `B` batch, `p` features of the result.
"""

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.native import compiler
from pixelrnn.ops import recorded, row_functions, second_derivatives

SOURCE = Path(__file__).with_suffix(".cpp")


def gated(x: Tensor, squashed: bool) -> Tensor:
    """Compute a gate, by C++ code where it serves: of whole images, and of few rows.

    Args:
        x: [a, b], (..., 2 p), any float dtype. At a single position it may be what stands for a
            tensor while a walk is recorded (`recorded.Value`).
        squashed: tanh(a) * sigmoid(b); False: a * sigmoid(b).

    Returns:
        (..., p).
    """
    if served(x):
        return _Gate.apply(x.contiguous(), squashed)
    if row_functions.served(x):
        return row_functions.gated(x, squashed)
    if type(x) is Tensor:  # what stands for one is recorded operation by operation
        recorded.refuse()
    return reference(x, squashed)


def reference(x: Tensor, squashed: bool) -> Tensor:
    """Compute what `gated` does by torch.

    `logsigmoid` treats the last elements of a tensor like all others, `sigmoid` does not: features
    at a single position would depend on the batch, in their last bit.
    """
    a, b = x.chunk(2, dim=-1)
    return (a.tanh() if squashed else a) * F.logsigmoid(b).exp()


def served(x: Tensor) -> bool:
    """Tell whether the C++ code takes this: whole images (H, W, B, 2 p), float32, on a CPU.

    What stands for a tensor while a walk is recorded is of another type: it is not even looked at.
    """
    return (
        type(x) is Tensor
        and x.dim() == 4
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() > 0
        and compiler.available(SOURCE, "gates are torch's, and slower")
    )


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, squashed: bool) -> Tensor:
        ctx.save_for_backward(x)
        ctx.squashed = squashed
        y = x.new_empty(*x.shape[:-1], x.shape[-1] // 2)
        _call("forward", squashed, x, y=y)
        return y

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True
            y = reference(x, ctx.squashed)
            return *second_derivatives.gradients([y], [x], [grad_y]), None
        grad_x = torch.empty_like(x)
        _call("backward", ctx.squashed, x, grad_y=grad_y.contiguous(), grad_x=grad_x)
        return grad_x, None


class _Job(ctypes.Structure):
    """The struct Job of gates.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("positions", "features", "threads")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "grad_y", "grad_x")),
    )


def _call(name: str, squashed: bool, x: Tensor, **buffers: Tensor) -> None:
    """Call a function of gates.cpp."""
    features = x.shape[-1] // 2
    job = _Job(x.shape[:-1].numel(), features, torch.get_num_threads(), x.data_ptr())
    for field, buffer in buffers.items():
        setattr(job, field, buffer.data_ptr())
    function = getattr(compiler.library(SOURCE), f"{name}_{'squashed' if squashed else 'linear'}")
    function(ctypes.byref(job))
