"""Folders of small pictures, as users have them."""

import io

import numpy as np
from PIL import Image

MODES = ("L", "LA", "P", "RGBA", "RGB")


def loaded(kind, path, **settings):
    """A data module of files of one's own, converted and loaded."""
    module = kind(path=path, **settings)
    module.prepare_data()
    module.setup()
    return module


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


def codes(path, count=60, shape=(1, 3, 4), levels=300, dtype=np.int64):
    """An array of maps, (N, H, W) for one channel; the first and the last code occur."""
    path.mkdir(parents=True, exist_ok=True)
    maps = np.random.default_rng(0).integers(levels, size=(count, *shape)).astype(dtype)
    maps[0, 0, 0, :2] = 0, levels - 1
    np.save(path / "codes.npy", maps[:, 0] if shape[0] == 1 else maps)
    return path / "codes.npy"


def all_images(module):
    """The images of all splits, each as bytes."""
    return [image.tobytes() for split in module.splits for image in module.images(split)]


def rows(module):
    """Split -> the files of its images, in their order."""
    folder = module.image_set.store.folder
    return {s: (folder / f"{s}.txt").read_text().splitlines() for s in module.splits}
