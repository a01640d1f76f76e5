"""A folder of real files as people have them: of many sizes, formats and modes, two of them broken.

They are pieces of the two photographs and the digits that ship with scikit-learn.
"""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

MODES = ("RGB", "L", "LA", "P", "RGBA")
ENDINGS = ("png", "jpg", "webp", "gif")
BROKEN = {"broken/cut.jpg": "damaged or cut off", "broken/text.png": "no picture of PNG, JPEG, "}


def make(folder, count):
    """Write `count` pictures, two of which are broken."""
    random = np.random.default_rng(0)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    digits = load_digits().images
    for index in range(count - len(BROKEN)):
        kind = index % 3
        if kind == 2:
            image = Image.fromarray((digits[index] * 15.9375).astype(np.uint8))
        else:
            width, height = (int(side) for side in random.integers(12, 60, size=2))
            left, top = random.integers(640 - width), random.integers(427 - height)
            image = photos[kind].crop((left, top, left + width, top + height))
        _save(image, folder / ("china", "flower", "digits")[kind], index)
    _break(folder)


def _save(image, folder, index):
    folder.mkdir(parents=True, exist_ok=True)
    ending, mode = ENDINGS[index % 4], MODES[index // 4 % 5]
    if ending == "jpg" and mode not in ("RGB", "L"):
        mode = "RGB"
    exif = Image.Exif()
    if ending != "gif":
        exif[0x0112] = index % 8 + 1
    image = image.convert(mode)
    if image.mode in ("LA", "RGBA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(folder / f"{index:04}.{ending}", **({"exif": exif} if ending != "gif" else {}))


def _break(folder):
    (folder / "broken").mkdir()
    whole = sorted(folder.glob("china/*.jpg"))[0].read_bytes()
    (folder / "broken" / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "broken" / "text.png").write_text("not a picture")
