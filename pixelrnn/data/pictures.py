"""A grid of images as a PNG file."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from pixelrnn.data.files import explained, replacing

_SIDE = 512  # pixels that a grid is about as wide as


def save_grid(images: np.ndarray, levels: int, path: Path) -> None:
    """Write images side by side, as near to a square as they come.

    Args:
        images: uint8 (N, C, H, W), at least one; 1 or 3 colours, else the first is shown.
        levels: number of values of a sub-pixel; the highest is shown white.
        path: of the PNG.

    Raises:
        DataError: the disc refuses.
    """
    shown = images if images.shape[1] == 3 else images[:, :1]
    shown = (shown.astype(np.uint16) * 255 // (levels - 1)).astype(np.uint8)
    n, colors, height, width = shown.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    grid = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, colors), 128, np.uint8)
    for index, image in enumerate(shown):
        top, left = (
            place * size
            for place, size in zip(divmod(index, columns), (height + 1, width + 1), strict=True)
        )
        grid[top + 1 : top + 1 + height, left + 1 : left + 1 + width] = image.transpose(1, 2, 0)
    scale = max(1, _SIDE // grid.shape[1])
    picture = Image.fromarray(np.squeeze(grid.repeat(scale, 0).repeat(scale, 1)))
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            picture.save(file, format="PNG")
