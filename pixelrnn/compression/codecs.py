"""Lossless codecs of others on the same images, to compare bits: PNG, WebP, JPEG XL, JPEG-LS.

PNG and WebP come with Pillow; the others with the extra `codecs`. Each file is decoded and compared
before its size counts. A file an image pays for a header each time, which for small images is most
of it; so two more sizes are given: less the file of a black image, and all images as one picture.
"""

import importlib
import importlib.util
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pixelrnn.errors import CompressionError


@dataclass(frozen=True)
class Codec:
    """A codec as Pillow knows it.

    Attributes:
        name: as shown.
        format: as Pillow names it.
        plugin: module that brings it; None: Pillow itself.
        settings: the smallest files it can make without loss.
    """

    name: str
    format: str
    plugin: str | None
    settings: dict[str, Any]


CODECS = (
    Codec("PNG", "PNG", None, {"optimize": True}),
    Codec("WebP", "WEBP", None, {"lossless": True, "quality": 100, "method": 6, "exact": True}),
    Codec("JPEG-LS", "JPEG-LS", "pillow_jpls", {}),
    Codec("JPEG XL", "JXL", "pillow_jxl", {"lossless": True, "effort": 9}),
)


@dataclass(frozen=True)
class Sizes:
    """Bits of some images under a codec.

    Attributes:
        files: a file an image.
        bare: the same, less the file of a black image each.
        picture: all images side by side as one picture; None if it is too large for the codec.
    """

    files: int
    bare: int
    picture: int | None


def available(codec: Codec) -> bool:
    """Whether this machine has the codec."""
    return codec.plugin is None or importlib.util.find_spec(codec.plugin) is not None


def sizes(codec: Codec, images: np.ndarray, levels: int) -> Sizes:
    """Measure a codec.

    Args:
        codec: one that is available.
        images: uint8 (N, C, H, W), C 1 or 3.
        levels: values of a sub-pixel: pictures of two have one bit a pixel where a codec can.

    Raises:
        CompressionError: it does not give back what it was given.
    """
    if codec.plugin:
        importlib.import_module(codec.plugin)
    rows = images.transpose(0, 2, 3, 1)  # (N, H, W, C)
    files = sum(_bits(codec, image, levels) for image in rows)
    black = _bits(codec, np.zeros_like(rows[0]), levels)
    picture = _tiled(rows)
    fits = codec.format != "WEBP" or max(picture.shape[:2]) <= 16_383
    return Sizes(
        files=files,
        bare=files - black * len(rows),
        picture=_bits(codec, picture, levels) if fits else None,
    )


def _bits(codec: Codec, image: np.ndarray, levels: int) -> int:
    """Size of the file of one image, uint8 (H, W, C)."""
    gray = image.shape[2] == 1
    picture = Image.fromarray(image[:, :, 0] * (255 if levels == 2 else 1) if gray else image)
    if gray and levels == 2 and codec.format == "PNG":
        picture = picture.convert("1")
    file = io.BytesIO()
    picture.save(file, codec.format, **codec.settings)
    with Image.open(io.BytesIO(file.getvalue())) as found:
        same = np.array_equal(
            np.asarray(found.convert("L" if gray else "RGB")),
            np.asarray(picture.convert("L" if gray else "RGB")),
        )
    if not same:
        raise CompressionError(f"{codec.name} does not give back what it was given")
    return 8 * file.tell()


def _tiled(rows: np.ndarray) -> np.ndarray:
    """All images on a grid, about a square, black where there is none: (H', W', C)."""
    n, height, width, colors = rows.shape
    columns = max(1, round(math.sqrt(n * height / width)))
    lines = -(-n // columns)
    whole = np.zeros((lines * columns, height, width, colors), np.uint8)
    whole[:n] = rows
    grid = whole.reshape(lines, columns, height, width, colors).transpose(0, 2, 1, 3, 4)
    return grid.reshape(lines * height, columns * width, colors)
