"""Images of symbols as pictures that people can look at."""

import math

import numpy as np
from PIL import Image
from torch import Tensor


def grid(images: Tensor, levels: int, columns: int | None = None, side: int = 480) -> Image.Image:
    """Lay images out on a grid, enlarged by a whole factor so that pixels stay sharp.

    Args:
        images: uint8 (B, C, H, W), values below `levels`. C is 1 or 3; of images with other numbers
            of channels each channel is shown in grey, one beside the other.
        levels: number of values of a sub-pixel; 0 becomes black, levels - 1 white.
        columns: images in a row; None: as square as possible.
        side: wanted width of the whole picture in pixels.
    """
    symbols = images.cpu().numpy()
    channels = symbols.shape[1]
    if channels not in (1, 3):
        columns = channels * (columns or max(1, round(math.sqrt(len(symbols) / channels))))
        symbols = symbols.reshape(-1, 1, *symbols.shape[2:])
    if channels != 3:
        symbols = symbols.repeat(3, axis=1)
    shades = (symbols.astype(np.float64) * (255 / (levels - 1))).round().astype(np.uint8)
    count, _, height, width = shades.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    factor = max(1, side // (columns * (width + 1)))
    gap = max(1, factor // 4)
    cell_h, cell_w = height * factor + gap, width * factor + gap
    canvas = np.full((rows * cell_h + gap, columns * cell_w + gap, 3), 96, dtype=np.uint8)
    for index, image in enumerate(shades.transpose(0, 2, 3, 1)):
        row, column = divmod(index, columns)
        large = image.repeat(factor, axis=0).repeat(factor, axis=1)
        top, left = gap + row * cell_h, gap + column * cell_w
        canvas[top : top + large.shape[0], left : left + large.shape[1]] = large
    return Image.fromarray(canvas)
