"""Skewing: the map in which every anti-diagonal of the image is one line (section 3.2, figure 3).

    image            skewed: line t holds the pixels with r + c = t, at place r
    a b c            t:   0  1  2  3
    d e f            r=0: a  b  c  .
                     r=1: .  d  e  f

Axes: `H W` image, `T = H + W - 1` lines, `B` batch, `F` features.
"""

import torch
from torch import Tensor


def skew(image: Tensor) -> Tensor:
    """(H, W, B, F) -> (T, H, B, F), zero outside the image. One copy; every line is contiguous."""
    height, width, batch, features = image.shape
    skewed = image.new_zeros(height + width - 1, height, batch, features)
    unskew(skewed, width).copy_(image)
    return skewed


def unskew(skewed: Tensor, width: int) -> Tensor:
    """(T, H, B, F) -> (H, W, B, F). A view: nothing is copied.

    Pixel (r, c) lies at line r + c, place r: one row further is one line and one place further.
    """
    _, height, batch, features = skewed.shape
    line, place, *rest = skewed.stride()
    return skewed.as_strided((height, width, batch, features), (line + place, line, *rest))


def before_image(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """True where a line has not yet entered the image (t < r): bool, (T, H).

    There the recurrence holds its state at the learned initial value. Places behind the right
    border (t >= r + W) need no mask: no pixel of the image reads them.
    """
    line = torch.arange(height + width - 1, device=device)
    place = torch.arange(height, device=device)
    return line[:, None] < place[None, :]
