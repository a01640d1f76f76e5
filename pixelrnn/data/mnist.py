"""MNIST: 28 x 28 digits, binary in one of several ways, or with 256 grey levels.

The ways are different benchmarks, and nats of one say nothing about another (section 5.3 of the
paper; its 79.20 stands in tables of the static kind). Training, validation and test images of
`static` were drawn once and published. The other kinds use the first 50,000 training images for
training, the last 10,000 for validation.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Split
from pixelrnn.data.batches import RandomDraws, draw
from pixelrnn.data.converted import Builder
from pixelrnn.data.download import raw_file
from pixelrnn.data.factory import served
from pixelrnn.data.image_set import SPLITS
from pixelrnn.data.published import PublishedImages
from pixelrnn.data.registry import SOURCES
from pixelrnn.errors import DataError

Binarize = Literal["static", "dynamic", "threshold", "none"]

_PIXELS = 28 * 28
_AMAT_ROW = 2 * _PIXELS  # a digit and a blank per pixel, the last blank a line end
_VAL_SIZE = 10_000
_EVAL_DRAW_SEED = 2016  # validation and test are drawn once, the same for every run


@dataclass
class MNISTImages(PublishedImages):
    """(1, 28, 28), 2 levels, or 256 with `binarize="none"`; 50,000 / 10,000 / 10,000 images.

    All but the static kind have labels, 0 to 9.

    Args:
        binarize: "static": Larochelle's fixed draw; "dynamic": training images are drawn with
            probability grey / 255 at every presentation, validation and test once; "threshold":
            grey >= 128; "none": grey levels.
    """

    binarize: Binarize = "static"

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
        raw = {
            part: [raw_file(self.source, file, self.root) for file in files]
            for part, files in self.source.files.items()
        }
        for part, paths in raw.items():
            count = self.source.parts[part]
            read = read_idx if self.source.labels else read_amat
            with builder.part(part) as out:
                out.write(read(paths[0], count))
            if self.source.labels:
                with builder.part(f"{part}_labels") as out:
                    out.write(read_idx_labels(paths[1], count))

    def load(self, split: Split) -> np.ndarray:
        """The images of a split: uint8 (N, 1, 28, 28)."""
        images = super().load(split)
        if self.binarize == "threshold":
            return (images >= 128).astype(np.uint8)
        if self.binarize == "dynamic":
            return draw(images, np.random.default_rng([_EVAL_DRAW_SEED, SPLITS.index(split)]))
        return images

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """Images drawn anew in every epoch if `dynamic`."""
        return RandomDraws(super().load("train"), seed) if self.binarize == "dynamic" else None


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
    """LeCun's image files: gzip of four big-endian numbers (2051, count, 28, 28) and the pixels.

    Returns:
        uint8 (count, 1, 28, 28).

    Raises:
        DataError: not of that form.
    """
    return _read_idx(path, [2051, count, 28, 28]).reshape(count, 1, 28, 28)


def read_idx_labels(path: Path, count: int) -> np.ndarray:
    """LeCun's label files: gzip of two big-endian numbers (2049, count) and the labels.

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
        with gzip.open(path) as stream:
            data = stream.read(expected + 1)  # one more: a bomb is not unpacked, its end is seen
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
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


MNIST = served(MNISTImages, eval_batch_size=256)
