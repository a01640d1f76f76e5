"""Folders of small pictures, as users have them."""

import io

import numpy as np
from PIL import Image

MODES = ("L", "LA", "P", "RGBA", "RGB")


def picture(seed, height=8, width=8, mode="RGB"):
    """A picture of blocks of colour, so that scaling and lossy formats leave something of it."""
    random = np.random.default_rng(seed)
    blocks = random.integers(256, size=(2, 2, 4), dtype=np.uint8)
    whole = blocks.repeat((height + 1) // 2, 0).repeat((width + 1) // 2, 1)[:height, :width]
    return (
        Image.fromarray(whole, "RGBA").convert("RGB").convert(mode)
        if mode != "RGBA"
        else (Image.fromarray(whole, "RGBA"))
    )


def encoded(image, format="PNG", **settings):
    file = io.BytesIO()
    image.save(file, format=format, **settings)
    return file.getvalue()


def folder(path, count=30, **settings):
    """Pictures named by number, all of one size."""
    path.mkdir(parents=True)
    for index in range(count):
        picture(index, **settings).save(path / f"{index:03}.png")
    return path
