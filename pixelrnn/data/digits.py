"""The 8 x 8 handwritten digits that ship with scikit-learn: real, small, no download.

1797 grey images of 17 levels. Neighbours in the file share writers, so the splits are cut in file
order; a shuffled split would leak writers into the test set.
"""

import functools
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from pixelrnn.arguments import Split
from pixelrnn.data.factory import served
from pixelrnn.data.image_set import ImageSet

_SPLITS: dict[Split, slice] = {
    "train": slice(0, 1347),
    "val": slice(1347, 1572),
    "test": slice(1572, 1797),
}


@dataclass
class DigitsImages(ImageSet):
    """(1, 8, 8), 17 levels, or 2 with `binary`; 1347 / 225 / 225 images, labels 0 to 9.

    Args:
        binary: levels 8 to 16 become 1, those below 0.
    """

    binary: bool = False
    class_names = tuple("0123456789")

    def __post_init__(self) -> None:
        self.image_shape = (1, 8, 8)
        self.levels = 2 if self.binary else 17
        self.dataset_id = "digits_binary" if self.binary else "digits"

    def load(self, split: Split) -> np.ndarray:
        """The images of a split: uint8 (N, 1, 8, 8)."""
        digits = _digits().images[_SPLITS[split], None]
        return (digits >= 8 if self.binary else digits).astype(np.uint8)

    def labels(self, split: Split) -> np.ndarray:
        """The digits that the images show: int64 (N,)."""
        return _digits().target[_SPLITS[split]].astype(np.int64)

    def count(self, split: Split) -> int:
        """The number of images of a split."""
        return _SPLITS[split].stop - _SPLITS[split].start


@functools.cache
def _digits() -> Any:
    """What scikit-learn makes of its file: `images` (1797, 8, 8) and `target` (1797,)."""
    from sklearn.datasets import load_digits  # half a second, which other data sets do not need

    return load_digits()


Digits = served(DigitsImages, batch_size=32)
