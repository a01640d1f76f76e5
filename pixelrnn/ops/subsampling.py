"""The small image in a large one: every f-th row and column, from the first on.

Its size is ceil(H / f) x ceil(W / f): the top left pixel of each block of f x f, and of what is
left of a block at the right and lower edge. Axes: `C` colours, `h w` small image, `H W` large one.
"""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pixelrnn.arguments import Positive

Factor = Positive | tuple[Positive, Positive]
"""Pixels of the large image for each of the small one: along both axes, or (rows, columns)."""

Shape = tuple[int, int, int]
Images = TypeVar("Images", Tensor, np.ndarray)


def pair(factor: int | tuple[int, int]) -> tuple[int, int]:
    """Return the factors along rows and along columns."""
    rows, columns = (factor, factor) if isinstance(factor, int) else factor
    return rows, columns


def small_shape(image_shape: Shape, factor: int | tuple[int, int]) -> Shape:
    """Return (C, h, w) for (C, H, W)."""
    colors, height, width = image_shape
    rows, columns = pair(factor)
    return colors, -(-height // rows), -(-width // columns)


def factor_between(
    small: Shape, large: Shape, factor: int | tuple[int, int] | None
) -> tuple[int, int]:
    """Return the factors along rows and columns between images of two shapes.

    Args:
        small: (C, h, w).
        large: (C, H, W).
        factor: what it must be; None: the smallest factors that fit.

    Raises:
        ValueError: no factor fits, or not this one, or it is 1 along both axes.
    """
    found = pair(factor) if factor else (-(-large[1] // small[1]), -(-large[2] // small[2]))
    if found == (1, 1) and small == large:
        raise ValueError(f"factor=1: the small image {small} would be the large one")
    if small_shape(large, found) == small:
        return found
    wrong = f"factor={factor} gives {small_shape(large, found)}" if factor else "no factor fits"
    raise ValueError(
        f"small.image_shape={small} must be large.image_shape={large}, subsampled, but {wrong}"
    )


def subsampled(images: Images, factor: tuple[int, int]) -> Images:
    """Return a view of the small images in large ones: (B, C, H, W) -> (B, C, h, w)."""
    rows, columns = factor
    return images[:, :, ::rows, ::columns]


def positions(size: tuple[int, int], factor: tuple[int, int]) -> Tensor:
    """Return where the pixels of the small image are in the large one: bool (H, W)."""
    known = torch.zeros(size, dtype=torch.bool)
    known[:: factor[0], :: factor[1]] = True
    return known
