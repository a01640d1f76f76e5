"""Coordinates of positions, for layers that are told where they stand."""

import torch
from torch import Tensor


def places(rows: range, width: int, size: tuple[int, int], like: Tensor) -> Tensor:
    """Return the coordinates of positions, (rows, width, 2): row and column, each in [-0.5, 0.5).

    Args:
        rows: of the image.
        width: number of columns.
        size: (H, W) of the images that coordinates are relative to.
        like: dtype and device of the result.
    """
    height, columns = size
    down = _relative(rows, height, like.device)
    right = _relative(range(width), columns, like.device)
    grid = torch.stack([down[:, None].expand(-1, width), right.expand(len(rows), -1)], dim=-1)
    return grid.to(like.dtype)


def _relative(indices: range, count: int, device: torch.device) -> Tensor:
    every = torch.arange(indices.start, indices.stop, dtype=torch.float64, device=device)
    return (every - count / 2) / count
