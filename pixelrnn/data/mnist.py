"""MNIST: 28 x 28 digits, binary in one of several ways, or with 256 grey levels.

The ways are different benchmarks, and nats of one say nothing about another (section 5.3 of the
paper; its 79.20 stands in tables of the static kind). Training, validation and test images of
`static` were drawn once and published. The other kinds use the first 50,000 training images for
training, the last 10,000 for validation.
"""

import gzip
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Positive, Seed, Workers, checked
from pixelrnn.data import registry
from pixelrnn.data.base import SPLITS, Split
from pixelrnn.data.batches import RandomDraws, draw
from pixelrnn.data.converted import Builder
from pixelrnn.data.download import raw_file
from pixelrnn.data.published import StoredDataModule
from pixelrnn.errors import DataError

Binarize = Literal["static", "dynamic", "threshold", "none"]

_PIXELS = 28 * 28
_AMAT_ROW = 2 * _PIXELS  # a digit and a blank per pixel, the last blank a line end
_VAL_SIZE = 10_000
_EVAL_DRAW_SEED = 2016  # validation and test are drawn once, the same for every run


class MNIST(StoredDataModule):
    """(1, 28, 28), 2 levels, or 256 with `binarize="none"`; 50,000 / 10,000 / 10,000 images.

    Args:
        binarize: "static": Larochelle's fixed draw; "dynamic": training images are drawn with
            probability grey / 255 at every presentation, validation and test once; "threshold":
            grey >= 128; "none": grey levels.
        root: folder of all data.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        on_device: keep the images on the training device (not those drawn anew).
        seed: of order and draws.
    """

    @checked
    def __init__(
        self,
        binarize: Binarize = "static",
        root: Path = Path("data"),
        batch_size: Positive = 16,
        eval_batch_size: Positive = 256,
        num_workers: Workers = 0,
        on_device: bool = False,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            registry.MNIST_STATIC if binarize == "static" else registry.MNIST_GREY,
            root,
            in_memory=True,
            levels=256 if binarize == "none" else 2,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id="mnist_grey" if binarize == "none" else f"mnist_{binarize}",
            splits=SPLITS,
            on_device=on_device,
        )
        self.binarize = binarize
        self.val_size = _VAL_SIZE

    def build(self, builder: Builder) -> None:
        """See `StoredDataModule.build`."""
        read = read_amat if self.binarize == "static" else read_idx
        raw = {
            part: raw_file(self.source, files[0], self.root)
            for part, files in self.source.files.items()
        }
        for part, path in raw.items():
            with builder.part(part) as out:
                out.write(read(path, self.source.parts[part]))

    def load(self, split: Split) -> np.ndarray:
        """See `PixelDataModule.load`."""
        if self.binarize == "static":
            return self.part(split)
        grey = self._grey(split)
        if self.binarize == "threshold":
            return (grey >= 128).astype(np.uint8)
        if self.binarize == "dynamic":
            return draw(grey, np.random.default_rng([_EVAL_DRAW_SEED, SPLITS.index(split)]))
        return grey

    def training_set(self) -> Dataset[Tensor]:
        """Drawn anew in every epoch if `dynamic`; as `load` gives it otherwise."""
        if self.binarize == "dynamic":
            return RandomDraws(self._grey("train"), self.seed)
        return super().training_set()

    def _grey(self, split: Split) -> np.ndarray:
        if split == "test":
            return self.part("test")
        images = self.part("train")
        cut = len(images) - self.val_size
        return images[:cut] if split == "train" else images[cut:]


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
    expected = 16 + count * _PIXELS
    try:
        with gzip.open(path) as stream:
            data = stream.read(expected + 1)  # one more: a bomb is not unpacked, its end is seen
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a gzip file ({error}); delete it, so that it is fetched again"
        ) from error
    header = np.frombuffer(data[:16], ">u4").tolist() if len(data) >= 16 else []
    if header != [2051, count, 28, 28] or len(data) != expected:
        raise DataError(
            f"{path}: expected header [2051, {count}, 28, 28] and {expected:,} bytes, found "
            f"{header} and {len(data):,} or more; delete the file, so that it is fetched again"
        )
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, 1, 28, 28)
