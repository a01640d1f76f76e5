"""A 1 x k convolution that sees a pixel and those left of it, as one product per tap.

Two to three times as fast as `conv2d`, which would also copy the map into its own layout and back.
Axes: `H W` image, `B` batch, `I` features in, `O` features out, `K` taps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def row_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`y[r, c] = bias + sum over k of weight[k] @ x[r, c - k]`, zero left of the row.

    Args:
        x: (H, W, B, I), any float dtype; under autocast it and the rest are cast.
        weight: (K, O, I).
        bias: (O,).

    Returns:
        (H, W, B, O), contiguous.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    with torch.autocast(device, enabled=False):
        return _RowConv.apply(x.contiguous(), weight, bias)


class _RowConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = F.linear(x, weight[0], bias)
        for tap in range(1, min(len(weight), x.shape[1])):
            shifted = x[:, :-tap].flatten(1, 2)  # (H, (W - k) * B, I)
            y[:, tap:].flatten(1, 2).baddbmm_(shifted, _per_row(weight[tap].t(), x))
        return y

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if torch.is_grad_enabled():
            raise RuntimeError("row_conv has no second derivative (create_graph=True)")
        x, weight = ctx.saved_tensors
        grad_y = grad_y.contiguous()
        flat = grad_y.flatten(0, 2)  # (H * W * B, O)
        grad_weight = torch.zeros_like(weight)
        with torch.autocast(x.device.type, enabled=False):
            grad_x = grad_y @ weight[0]
            torch.mm(flat.t(), x.flatten(0, 2), out=grad_weight[0])
            for tap in range(1, min(len(weight), x.shape[1])):
                read = grad_y[:, tap:].flatten(1, 2)
                grad_x[:, :-tap].flatten(1, 2).baddbmm_(read, _per_row(weight[tap], x))
                shifted = F.pad(x[:, :-tap], (0, 0, 0, 0, tap, 0))
                torch.mm(flat.t(), shifted.flatten(0, 2), out=grad_weight[tap])
        return grad_x, grad_weight, flat.sum(0)


def _per_row(matrix: Tensor, x: Tensor) -> Tensor:
    return matrix.expand(x.shape[0], -1, -1)
