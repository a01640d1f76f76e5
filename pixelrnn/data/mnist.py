"""MNIST, and sets in its file format: 28 x 28 images, binary in one of several ways, or grey.

The ways are different benchmarks, and nats of one say nothing about another (section 5.3 of the
paper; its 79.20 stands in tables of the static kind of MNIST, whose images were drawn once and
published). All but that use the first 50,000 training images for training, the last 10,000 for
validation.
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Split
from pixelrnn.data import gzipped
from pixelrnn.data.batches import RandomDraws, draw
from pixelrnn.data.converted import Builder
from pixelrnn.data.download import raw_file
from pixelrnn.data.factory import served
from pixelrnn.data.image_set import SPLITS
from pixelrnn.data.published import PublishedImages
from pixelrnn.data.registry import SOURCES, RawFile
from pixelrnn.errors import DataError

Binarize = Literal["static", "dynamic", "threshold", "none"]

_PIXELS = 28 * 28
_AMAT_ROW = 2 * _PIXELS  # a digit and a blank per pixel, the last blank a line end
_VAL_SIZE = 10_000
_DRAW_SEED = 2016  # of images that are drawn once, the same for every run


@dataclass
class IdxImages(PublishedImages):
    """Base of the sets in MNIST's own file format (`read_idx`): grey images and labels.

    A subclass sets what `PublishedImages` and `ImageSet` ask for.
    """

    binarize: Binarize = "static"

    val_size = _VAL_SIZE

    def raw(self, file: RawFile) -> Path:
        """The path of a verified raw file.

        Raises:
            DataError: it cannot be had, or is damaged.
        """
        return raw_file(self.source, file, self.root)

    def build(self, builder: Builder) -> None:
        """Convert the files of images and labels.

        Raises:
            DataError: a file cannot be had, or is damaged.
        """
        raw = {
            part: [self.raw(file) for file in files] for part, files in self.source.files.items()
        }
        for part, (images, labels) in raw.items():
            count = self.source.parts[part]
            with builder.part(part) as out:
                out.write(read_idx(images, count))
            with builder.part(f"{part}_labels") as out:
                out.write(read_idx_labels(labels, count))

    def load(self, split: Split) -> np.ndarray:
        """The images of a split: uint8 (N, 1, 28, 28); those that are drawn are so once for all."""
        return binarized(super().load(split), self.binarize, split)

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """Images drawn anew in every epoch if `dynamic`."""
        return RandomDraws(super().load("train"), seed) if self.binarize == "dynamic" else None


@dataclass
class MNISTImages(IdxImages):
    """(1, 28, 28), 2 levels, or 256 with `binarize="none"`; 50,000 / 10,000 / 10,000 images.

    All but the static kind have labels, 0 to 9.

    Args:
        binarize: "static": Larochelle's fixed draw; "dynamic": training images are drawn with
            probability grey / 255 at every presentation, validation and test once; "threshold":
            grey >= 128; "none": grey levels.
    """

    def __post_init__(self) -> None:
        static, grey = self.binarize == "static", self.binarize == "none"
        self.source = SOURCES["mnist_static" if static else "mnist_grey"]
        self.image_shape = self.source.image_shape
        self.levels = 256 if grey else 2
        self.dataset_id = "mnist_grey" if grey else f"mnist_{self.binarize}"
        self.val_size = 0 if static else _VAL_SIZE

    @property
    def choice(self) -> str:
        """What chooses this set on the command line, after `pixelrnn data`."""
        return "mnist" if self.binarize == "static" else f"mnist data.binarize={self.binarize}"

    def build(self, builder: Builder) -> None:
        """Convert the text files of the static kind, or the image and label files of the others.

        Raises:
            DataError: a file cannot be had, or is damaged.
        """
        if self.binarize != "static":
            super().build(builder)
            return
        for part, (file,) in self.source.files.items():
            with builder.part(part) as out:
                out.write(read_amat(self.raw(file), self.source.parts[part]))

    def load(self, split: Split) -> np.ndarray:
        """The images of a split: uint8 (N, 1, 28, 28)."""
        return (
            PublishedImages.load(self, split) if self.binarize == "static" else super().load(split)
        )


def binarized(images: np.ndarray, how: Binarize, split: Split) -> np.ndarray:
    """Grey images as a set shows them: those that are drawn are so once for all.

    Args:
        images: uint8 (N, C, H, W).
        how: see the set.
        split: of the images; it chooses the draws.
    """
    if how == "threshold":
        return (images >= 128).astype(np.uint8)
    if how != "none":
        return draw(images, np.random.default_rng([_DRAW_SEED, SPLITS.index(split)]))
    return images


def read_amat(path: Path, count: int) -> np.ndarray:
    """Larochelle's text files: a line per image, 784 digits 0 or 1 with blanks between.

    Returns:
        uint8 (count, 1, 28, 28).

    Raises:
        DataError: not of that form.
    """
    data = np.fromfile(path, np.uint8)
    if data.size != count * _AMAT_ROW:
        raise DataError(
            f"{path}: expected {count:,} lines of {_AMAT_ROW} bytes, found {data.size:,} bytes; "
            "delete the file, so that it is fetched again"
        )
    rows = data.reshape(count, _AMAT_ROW)
    digits, blanks = rows[:, ::2] - ord("0"), rows[:, 1::2]
    if digits.max() > 1 or not (blanks[:, :-1] == ord(" ")).all() or (blanks[:, -1] != 10).any():
        raise DataError(
            f"{path}: expected digits 0 and 1 with single blanks between them, found other "
            "characters; delete the file, so that it is fetched again"
        )
    return digits.reshape(count, 1, 28, 28)


def read_idx(path: Path, count: int) -> np.ndarray:
    """LeCun's image files, packed or not: big-endian numbers (2051, count, 28, 28) and the pixels.

    Returns:
        uint8 (count, 1, 28, 28).

    Raises:
        DataError: not of that form.
    """
    return _read_idx(path, [2051, count, 28, 28]).reshape(count, 1, 28, 28)


def read_idx_labels(path: Path, count: int) -> np.ndarray:
    """LeCun's label files, packed or not: big-endian numbers (2049, count) and the labels.

    Returns:
        int64 (count,), 0 to 9.

    Raises:
        DataError: not of that form.
    """
    labels = _read_idx(path, [2049, count]).astype(np.int64)
    if labels.max(initial=0) > 9:
        raise DataError(
            f"{path}: expected labels 0 to 9, found {labels.max()}; delete the file, so that it "
            "is fetched again"
        )
    return labels


def _read_idx(path: Path, header: list[int]) -> np.ndarray:
    """The bytes after the header, uint8 (n,); the header ends with the sizes of the array."""
    start = 4 * len(header)
    expected = start + math.prod(header[1:])
    try:
        with gzipped.opened(path) as stream:
            data = stream.read(expected + 1)  # one more: a bomb is not unpacked, its end is seen
    except gzipped.UNREADABLE as error:
        raise DataError(
            f"{path}: expected a gzip file ({error}); delete it, so that it is fetched again"
        ) from error
    found = np.frombuffer(data[:start], ">u4").tolist() if len(data) >= start else []
    if found != header or len(data) != expected:
        raise DataError(
            f"{path}: expected header {header} and {expected:,} bytes, found "
            f"{found} and {len(data):,} or more; delete the file, so that it is fetched again"
        )
    return np.frombuffer(data, np.uint8, offset=start)


MNIST = served(MNISTImages)
