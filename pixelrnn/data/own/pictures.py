"""One picture file: what its header says, and its pixels.

PNG, JPEG, WebP and GIF are read, whatever the file is called. The orientation that a camera noted
(EXIF) is obeyed; colour profiles are not applied. Axes: `H W` picture, `C` colours.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from pixelrnn.data.own.bad import Bad

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
LARGEST = 1 << 28
"""Bytes of a file; more are refused unread."""

_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")
_GREY = ("1", "L", "LA", "La")
_COLOR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_NOTES = (b"eXIf", b"Raw profile type", b"tiff:Orientation")
"""What a PNG holds, somewhere, if it notes an orientation; without it, nothing is decoded."""


class Header(NamedTuple):
    """What is known of a picture without decoding it: its size when upright, and 1 or 3 colours."""

    height: int
    width: int
    colors: int


def header(data: bytes) -> Header:
    """Look at a picture without decoding more than must be.

    Raises:
        Bad: it is none, or one that cannot be used.
    """
    with _opened(data) as image:
        width, height = image.size
        if _orientation(image, data) >= 5:
            width, height = height, width
        return Header(height, width, 1 if _is_grey(image) else 3)


def pixels(data: bytes, background: tuple[int, int, int]) -> np.ndarray:
    """Decode a picture.

    Args:
        data: the whole file.
        background: red, green and blue of what lies behind transparent pixels.

    Returns:
        uint8 (H, W, 3), upright; the three colours of a grey picture are equal.

    Raises:
        Bad: it is damaged, or one that cannot be used.
    """
    with _opened(data) as image:
        image.load()
        upright: Image.Image = image
        if (turn := _UPRIGHT.get(_orientation(image, data))) is not None:
            upright = image.transpose(turn)
        if image.has_transparency_data:
            below = Image.new("RGBA", upright.size, (*background, 255))
            below.alpha_composite(upright.convert("RGBA"))
            upright = below
        return np.asarray(upright.convert("RGB"))


def grey(image: np.ndarray) -> np.ndarray:
    """Luma (ITU-R 601) of a colour picture, uint8 (H, W, 3) -> (H, W, 1); equal colours stay."""
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let Pillow's warnings about odd files pass: files are used, or refused by `Bad`.

    The filter counts for all threads, so it is set around their work, once.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture, its header read and found usable; whatever goes wrong inside is a `Bad`."""
    if not data:
        raise Bad("empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, data)
            yield image
    except (Bad, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise Bad(f"of more than {limit:,} pixels, Pillow's limit") from error
    except UnidentifiedImageError as error:
        damaged = data.startswith(_SIGNATURES)
        raise Bad("damaged or cut off" if damaged else f"no picture of {_formats()}") from error
    except Exception as error:  # a damaged picture can raise almost anything
        raise Bad("damaged or cut off") from error


def _check(image: Image.Image, data: bytes) -> None:
    """Refuse what would be read otherwise than it looks.

    Raises:
        Bad: says of which kind it is.
    """
    if image.format in ("GIF", "WEBP", "PNG") and getattr(image, "is_animated", False):
        raise Bad("animated")
    # Pillow cuts colours of 16 bits to 8 and says nothing: byte 24 of a PNG is its bit depth
    if image.mode.startswith("I") or (image.format == "PNG" and data[24:25] == b"\x10"):
        raise Bad("with 16 bits per colour, not 8")
    if image.mode not in (*_GREY, *_COLOR):
        raise Bad(f"with colours of {image.mode}, not RGB")


def _orientation(image: Image.Image, data: bytes) -> int:
    """The orientation that the picture notes; 1, upright, if it notes none that can be read."""
    if image.format == "PNG" and not any(note in data for note in _PNG_NOTES):
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (MemoryError, Bad):
        raise
    except Exception:  # notes that cannot be read harm no pixel
        return 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode != "P":
        return image.mode in _GREY
    palette = np.reshape(image.getpalette() or [], (-1, 3))
    return bool((palette == palette[:, :1]).all())


def _formats() -> str:
    return "PNG, JPEG, WebP or GIF"
