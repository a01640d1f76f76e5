"""What the arrays of a split must be; a set that gives others is refused.

Axes: `N` images, `C` colours, `H W` image.
"""

import math

import numpy as np

from pixelrnn import symbols
from pixelrnn.errors import DataError

_BLOCK = 2**22  # values that are looked at together: of a memory map few are in memory


def check_images(
    title: str, images: np.ndarray, image_shape: tuple[int, int, int], levels: int
) -> None:
    """Refuse what is not uint8 (N, C, H, W), N at least 1, with values below `levels`.

    Above 256 levels the dtype is uint16 or int32.

    Args:
        title: names the set and the split, for the error text.
        images: of the split.
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.

    Raises:
        DataError: says what was expected and what was found.
    """
    wide = levels > 256
    dtypes = (np.uint16, np.int32) if wide else (np.uint8,)
    if images.dtype not in dtypes or images.shape[1:] != tuple(image_shape):
        raise DataError(
            f"{title}: expected {'uint16 or int32' if wide else 'uint8'} images {image_shape}, "
            f"found {images.dtype} {images.shape[1:]}"
        )
    if len(images) == 0:
        raise DataError(f"{title}: no images")
    if levels in (256, symbols.MOST_LEVELS) and images.dtype.kind == "u":
        return  # the dtype has no other values
    each = math.prod(image_shape)
    for start in range(0, len(images), max(1, _BLOCK // each)):
        block = images[start : start + max(1, _BLOCK // each)]
        if block.max() >= levels or block.min() < 0:
            wrong = block.min() if block.min() < 0 else block.max()
            raise DataError(f"{title}: values must be below {levels}, found {wrong}")


def check_labels(title: str, labels: np.ndarray | None, count: int, classes: int | None) -> None:
    """Refuse what is not int64 (count,) with values in [0, classes).

    Args:
        title: names the set and the split, for the error text.
        labels: of the split; None is right only where there are no classes.
        count: number of images of the split.
        classes: number of classes; None: the set names none, and labels have no upper limit.

    Raises:
        DataError: says what was expected and what was found.
    """
    if labels is None:
        if classes is not None:
            raise DataError(f"{title}: the set names {classes} classes, but it has no labels")
        return
    if labels.dtype != np.int64 or labels.shape != (count,):
        raise DataError(
            f"{title}: expected int64 labels ({count},), found {labels.dtype} {labels.shape}"
        )
    limit = np.iinfo(np.int64).max if classes is None else classes - 1
    outside = labels[(labels < 0) | (labels > limit)]
    if len(outside):
        raise DataError(f"{title}: expected labels in [0, {classes}), found {outside[0]}")
