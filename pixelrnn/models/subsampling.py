"""The small image in a large one: every f-th row and column, from the first on.

Its size is ceil(H / f) x ceil(W / f): the top left pixel of each block of f x f, and of what is
left of a block at the right and lower edge. Axes: `C` colours, `h w` small image, `H W` large one.
"""

import torch
from torch import Tensor

Shape = tuple[int, int, int]


def small_shape(image_shape: Shape, factor: int | tuple[int, int]) -> Shape:
    """Return (C, h, w) for (C, H, W)."""
    colors, height, width = image_shape
    rows, columns = _pair(factor)
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
        ValueError: no factor fits, or not this one.
    """
    found = _pair(factor) if factor else (-(-large[1] // small[1]), -(-large[2] // small[2]))
    if small_shape(large, found) == small:
        return found
    wrong = f"factor={factor} gives {small_shape(large, found)}" if factor else "no factor fits"
    raise ValueError(
        f"small.image_shape={small} must be large.image_shape={large}, subsampled, but {wrong}"
    )


def subsampled(images: Tensor, factor: tuple[int, int]) -> Tensor:
    """Return the small images: (B, C, H, W) -> (B, C, h, w), contiguous."""
    rows, columns = factor
    return images[:, :, ::rows, ::columns].contiguous()


def positions(size: tuple[int, int], factor: tuple[int, int]) -> Tensor:
    """Return where the pixels of the small image are in the large one: bool (H, W)."""
    known = torch.zeros(size, dtype=torch.bool)
    known[:: factor[0], :: factor[1]] = True
    return known


def _pair(factor: int | tuple[int, int]) -> tuple[int, int]:
    rows, columns = (factor, factor) if isinstance(factor, int) else factor
    return rows, columns
