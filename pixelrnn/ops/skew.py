"""Skewing: the map in which every anti-diagonal of the image is one line (section 3.2, figure 3).

    image            skewed: line t holds the pixels with r + c = t, at position r
    a b c            t:   0  1  2  3
    d e f            r=0: a  b  c  .
                     r=1: .  d  e  f

Pixel (r, c) lies W pixels per row and one per column from the first; so the skewed map, one pixel
per line and W - 1 per position, is a view of the image. Outside the image (the dots) the view shows
other pixels: whoever reads it must leave those positions out (`outside_image`).

Axes: `D` directions, `H W` image, `T = H + W - 1` lines of `H` positions, `B` batch, `F` features.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def skew(image: Tensor) -> Tensor:
    """Return the skewed view, (D, H, W, B, F) -> (D, T, H, B, F).

    Outside the image it shows other pixels. Its gradient is read inside the image only.
    """
    return _Skew.apply(image)


def unskew(skewed: Tensor, width: int) -> Tensor:
    """Return the image of a skewed map, (D, T, H, B, F) -> (D, H, W, B, F), a view.

    The gradient of the map is zero outside the image.
    """
    return _Unskew.apply(skewed, width)


@lru_cache(maxsize=64)
def outside_image(height: int, width: int) -> Tensor:
    """Return which positions hold no pixel (t < r or t >= r + W): bool, (T, H), on the CPU.

    There the recurrence keeps its state frozen at the learned initial value. Behind the right
    border no pixel would read it, but half of all positions are outside: they need no computing.
    """
    line = torch.arange(height + width - 1)[:, None]
    position = torch.arange(height)
    return (line < position) | (line >= position + width)


def _skewed_view(image: Tensor) -> Tensor:
    directions, height, width, batch, features = image.shape
    direction, row, column, *rest = image.stride()
    size = directions, height + width - 1, height, batch, features
    return image.as_strided(size, (direction, column, row - column, *rest))


def _image_view(skewed: Tensor, width: int) -> Tensor:
    directions, _, height, batch, features = skewed.shape
    direction, line, position, *rest = skewed.stride()
    size = directions, height, width, batch, features
    return skewed.as_strided(size, (direction, line + position, line, *rest))


class _Skew(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.width = image.shape[2]
        return _skewed_view(image.contiguous())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _image_view(grad, ctx.width)


class _Unskew(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, skewed: Tensor, width: int) -> Tensor:
        ctx.shape, ctx.width = skewed.shape, width
        return _image_view(skewed, width)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        skewed = grad.new_zeros(ctx.shape)
        _image_view(skewed, ctx.width).copy_(grad)
        return skewed, None
