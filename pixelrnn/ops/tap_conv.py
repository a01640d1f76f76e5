"""A convolution as one product per tap, on maps whose pixels are rows of features.

It is two to three times as fast as `conv2d`, which would also copy the map into its own layout and
back. Taps that see nothing are left out. The products are those of a library or, for up to a few
hundred features on a CPU, our own (`native_taps`).

Axes: `H W` image, `B` batch, `I` features in, `O` features out, `K` taps.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.ops import choices, native_taps, second_derivatives

Offset = tuple[int, int]
"""The tap's distance: rows up (at least 0), columns to the left (negative: to the right)."""


def tap_conv(
    x: Tensor, weight: Tensor, bias: Tensor, offsets: Sequence[Offset], native: bool = True
) -> Tensor:
    """Compute `y[r, c] = bias + sum over k of weight[k] @ x[r - up_k, c - left_k]`.

    Outside the image x counts as zero.

    Args:
        x: (H, W, B, I), any float dtype; under autocast all tensors are cast to its dtype.
        weight: (K, O, I).
        bias: (O,).
        offsets: where each of the K taps reads; the first is (0, 0).
        native: False multiplies by a library in any case.

    Returns:
        (H, W, B, O), contiguous.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    with torch.autocast(device, enabled=False):
        return _TapConv.apply(x.contiguous(), weight, bias, tuple(offsets), native)


def reference(x: Tensor, weight: Tensor, bias: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """Compute what `tap_conv` does, tap by tap; this can be differentiated again and again."""
    y = bias.expand(*x.shape[:3], -1)
    for matrix, offset in zip(weight, offsets, strict=True):
        y = y + _moved(x, offset) @ matrix.t()
    return y


class _TapConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        offsets: tuple[Offset, ...],
        native: bool,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.offsets = offsets
        ctx.native = native and bias.dtype == x.dtype and native_taps.served(x, weight)
        choices.note(f"tap_conv kernel: {'native' if ctx.native else 'products of a library'}")
        if ctx.native:
            return native_taps.forward(x, weight, bias, offsets)
        y = F.linear(x, weight[0], bias)
        for matrix, offset in zip(weight[1:], offsets[1:], strict=True):
            target, source = _overlap(y, x, offset)
            _add_product(target, source, matrix.t())
        return y

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight, bias), offsets = ctx.saved_tensors, ctx.offsets
        if torch.is_grad_enabled():  # create_graph=True
            y = reference(x, weight, bias, offsets)
            inputs = (x, weight, bias)
            return *second_derivatives.gradients([y], inputs, [grad_y]), None, None
        grad_y = grad_y.contiguous()
        if ctx.native:
            wants_grad_x = ctx.needs_input_grad[0]
            return *native_taps.backward(x, weight, grad_y, offsets, wants_grad_x), None, None
        with torch.autocast(x.device.type, enabled=False):
            grad_x = grad_y @ weight[0]
            for matrix, offset in zip(weight[1:], offsets[1:], strict=True):
                source, target = _overlap(grad_y, grad_x, offset)
                _add_product(target, source, matrix)
            grad_weight = _weight_gradient(x, grad_y, weight, offsets)
        return grad_x, grad_weight, grad_y.flatten(0, 2).sum(0), None, None


def _weight_gradient(
    x: Tensor, grad_y: Tensor, weight: Tensor, offsets: tuple[Offset, ...]
) -> Tensor:
    """Return (K, O, I): one product per tap over all pixels; x is moved once per column offset."""
    gradient = torch.empty_like(weight)
    moved: dict[int, Tensor] = {}
    for index, (up, left) in enumerate(offsets):
        if left not in moved:
            moved[left] = _moved(x, (0, left))
        read = moved[left][: max(len(x) - up, 0)].flatten(0, 2)
        torch.mm(grad_y[up:].flatten(0, 2).t(), read, out=gradient[index])
    return gradient


def _moved(x: Tensor, offset: Offset) -> Tensor:
    """Return `x[r - up, c - left]` at (r, c), zero outside; x itself for (0, 0)."""
    up, left = offset
    if up == left == 0:
        return x
    target, source = _overlap(x, x, offset)
    moved = torch.zeros_like(x)
    where = moved[up:, max(left, 0) : max(left, 0) + target.shape[1]]
    where.copy_(source)
    return moved


def _overlap(y: Tensor, x: Tensor, offset: Offset) -> tuple[Tensor, Tensor]:
    """Return the pixels of y that see a pixel of x through a tap, and those pixels of x."""
    up, left = offset
    height, width = x.shape[:2]
    rows, columns = max(height - up, 0), max(width - abs(left), 0)
    target = y[up:, max(left, 0) : max(left, 0) + columns]
    return target, x[:rows, max(-left, 0) : max(-left, 0) + columns]


def _add_product(target: Tensor, source: Tensor, matrix: Tensor) -> None:
    """Add `source @ matrix` to pixels of `target`, in place: whole maps at once, or row by row."""
    if target.numel() == 0:
        return
    if target.is_contiguous() and source.is_contiguous():
        target.flatten(0, 2).addmm_(source.flatten(0, 2), matrix)
    else:
        per_row = matrix.expand(len(target), -1, -1)
        target.flatten(1, 2).baddbmm_(source.flatten(1, 2), per_row)
