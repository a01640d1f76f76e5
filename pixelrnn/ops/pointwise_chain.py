"""A chain of 1x1 convolutions, each after a ReLU: the head of a network.

For float32 on CPUs and few features one C++ call each way (`pointwise_chain.cpp`) takes a few
pixels through all layers while they lie in the cache; a library goes over the map a dozen times.

Axes: `I` features in, `O` features out.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.native import compiler
from pixelrnn.ops import choices, second_derivatives
from pixelrnn.ops.skips import Pair

SOURCE = Path(__file__).with_suffix(".cpp")
SLOTS = 16  # as in products.hpp

MOST_FEATURES = 128
"""Features up to which the C++ code is used."""


def pointwise_chain(x: Tensor, layers: Sequence[Pair]) -> Tensor:
    """Compute `x = weight @ ReLU(x) + bias` for each layer in turn.

    Args:
        x: (..., I), any float dtype.
        layers: at least one: weight and bias, (O, I) and (O,); the weight of a 1x1 may have two
            axes of length 1 at the end.

    Returns:
        (..., O) of the last layer.
    """
    if not served(x, layers):
        return reference(x, layers)
    return _Chain.apply(
        x.contiguous(), *(tensor.contiguous() for pair in layers for tensor in pair)
    )


def reference(x: Tensor, layers: Sequence[Pair]) -> Tensor:
    """Compute what `pointwise_chain` does, layer by layer."""
    for weight, bias in layers:
        x = F.linear(x.relu(), weight.flatten(1), bias)
    return x


def served(x: Tensor, layers: Sequence[Pair]) -> bool:
    """Tell whether the C++ code takes these; `choices` notes it."""
    why_not = _objection(x, layers)
    choices.note("pointwise_chain kernel: " + (f"torch ({why_not})" if why_not else "native"))
    return why_not is None


def _objection(x: Tensor, layers: Sequence[Pair]) -> str | None:
    """Return why the C++ code does not take these, or None if it does."""
    if x.device.type != "cpu":
        return f"it runs on cpu only, not on {x.device.type}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    if not x.dtype == layers[0][0].dtype == torch.float32:
        return f"no version for {x.dtype}"
    widths = [x.shape[-1], *(len(weight) for weight, _ in layers)]
    if max(widths) > MOST_FEATURES:
        return f"slower for more than {MOST_FEATURES} features"
    if any(width % SLOTS for width in widths):
        return f"features that are no multiples of {SLOTS}"
    if x.numel() == 0:
        return "no pixels"
    if not compiler.available(SOURCE, "the head is torch's operations, and slower"):
        return "it could not be built"
    return None


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *tensors: Tensor) -> Tensor:
        weights = tensors[::2]
        outputs = [x.new_empty(*x.shape[:-1], len(weight)) for weight in weights]
        _call("forward", [x, *outputs[:-1]], tensors, outputs=outputs)
        ctx.save_for_backward(x, *outputs[:-1], *tensors)
        return outputs[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.saved_tensors) // 3
        inputs, tensors = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        if torch.is_grad_enabled():  # create_graph=True
            pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
            given = (inputs[0], *tensors)
            y = reference(inputs[0], pairs)
            return second_derivatives.gradients([y], given, [gradient])
        of_input = torch.empty_like(inputs[0]) if ctx.needs_input_grad[0] else None
        found = [torch.empty_like(tensor) for tensor in tensors]
        _call("backward", inputs, tensors, found, gradient=gradient.contiguous(), of_input=of_input)
        return of_input, *found


class _Job(ctypes.Structure):
    """The struct Job of pointwise_chain.cpp."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("pixels", "layers", "threads")),
        *((name, ctypes.c_void_p) for name in ("widths", "weights", "biases", "inputs")),
        *((name, ctypes.c_void_p) for name in ("outputs", "gradient", "input_gradient")),
        *((name, ctypes.c_void_p) for name in ("weight_gradients", "bias_gradients")),
    )


def _call(
    name: str,
    inputs: Sequence[Tensor],
    tensors: Sequence[Tensor],
    found: Sequence[Tensor] = (),
    *,
    outputs: Sequence[Tensor] = (),
    gradient: Tensor | None = None,
    of_input: Tensor | None = None,
) -> None:
    """Call a function of pointwise_chain.cpp."""
    widths = [inputs[0].shape[-1], *(len(weight) for weight in tensors[::2])]
    job = _Job(inputs[0].numel() // widths[0], len(inputs), torch.get_num_threads())
    tables: dict[str, ctypes.Array] = {
        "widths": (ctypes.c_int64 * len(widths))(*widths),
        **{
            field: (ctypes.c_void_p * len(of))(*(tensor.data_ptr() for tensor in of))
            for field, of in (
                *(("weights", tensors[::2]), ("biases", tensors[1::2]), ("inputs", inputs)),
                *(("weight_gradients", found[::2]), ("bias_gradients", found[1::2])),
                ("outputs", outputs),
            )
        },
    }
    for field, table in tables.items():
        setattr(job, field, ctypes.addressof(table))
    job.gradient = None if gradient is None else gradient.data_ptr()
    job.input_gradient = None if of_input is None else of_input.data_ptr()
    getattr(compiler.library(SOURCE), name)(ctypes.byref(job))
