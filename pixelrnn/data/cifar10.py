"""CIFAR-10: 32 x 32 photographs in colour, from the binary archive.

The paper reports validation numbers without saying on which images. Here they are the last 5000
training images in file order, for every run the same.
"""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, NamedTuple, cast

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from pixelrnn.data.converted import Builder
from pixelrnn.data.download import raw_file
from pixelrnn.data.factory import served
from pixelrnn.data.image_set import SPLITS
from pixelrnn.data.published import PublishedImages
from pixelrnn.data.registry import SOURCES
from pixelrnn.errors import DataError

_TRAIN_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
_TEST_BATCHES = ["test_batch"]
_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS  # a label and the red, green and blue planes
_CLASSES = 10
_PYTHON_VERSION = "cifar-10-batches-py"


@dataclass
class CIFAR10Images(PublishedImages):
    """(3, 32, 32), 256 levels; 45,000 / 5000 / 10,000 images, labels 0 to 9.

    Args:
        val_size: training images, from the end of the file order, kept for validation; with 0 all
            50,000 are trained on and there is no validation split (the paper's final run).
    """

    val_size: Annotated[int, Field(ge=0, lt=50_000)] = 5000

    def __post_init__(self) -> None:
        self.source = SOURCES["cifar10"]
        self.image_shape = self.source.image_shape
        self.levels = 256
        self.dataset_id = "cifar10"
        self.splits = SPLITS if self.val_size else ("train", "test")

    def build(self, builder: Builder) -> None:
        """Convert the binary archive.

        Raises:
            DataError: the archive cannot be had, or is damaged.
        """
        batches = dict(read_archive(self._archive(), self.source.parts["test"]))
        for part, names in (("train", _TRAIN_BATCHES), ("test", _TEST_BATCHES)):
            with builder.part(part) as images, builder.part(f"{part}_labels") as labels:
                for name in names:
                    images.write(batches[name].images)
                    labels.write(batches[name].labels)

    def _archive(self) -> Path:
        try:
            return raw_file(self.source, self.source.files["train"][0], self.root)
        except DataError as error:
            folders = (self.root / "raw" / _PYTHON_VERSION, self.root / _PYTHON_VERSION)
            other = next((folder for folder in folders if folder.exists()), None)
            if other is None:
                raise
            raise DataError(
                f"{error}\n{other} is the Python version, which is not read: the binary archive "
                "is needed"
            ) from error


class _Batch(NamedTuple):
    images: np.ndarray  # uint8 (n, 3, 32, 32)
    labels: np.ndarray  # int64 (n,)


def read_archive(path: Path, per_batch: int) -> Iterator[tuple[str, _Batch]]:
    """The six batches of the binary archive, in the order in which they lie there.

    Members are read by their exact names and nothing is unpacked to the disc.

    Yields:
        Name without ".bin"; images and labels.

    Raises:
        DataError: damaged, or a batch is missing, doubled, a link, or of another size.
    """
    missing = {f"cifar-10-batches-bin/{name}.bin": name for name in _TRAIN_BATCHES + _TEST_BATCHES}
    wanted = dict(missing)
    size = per_batch * _RECORD
    remedy = f"delete {path}, so that it is fetched again"
    try:
        with tarfile.open(path, "r:gz") as archive:
            while (member := archive.next()) is not None:
                if member.name not in wanted:
                    continue
                if missing.pop(member.name, None) is None or not member.isreg():
                    raise DataError(f"{path}: {member.name} is doubled or no plain file; {remedy}")
                if member.size != size:
                    raise DataError(
                        f"{path}: {member.name}: expected {size:,} bytes, found {member.size:,}; "
                        f"{remedy}"
                    )
                with cast(IO[bytes], archive.extractfile(member)) as stream:
                    records = stream.read()
                yield wanted[member.name], _batch(records, f"{path}: {member.name}", remedy)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a tar.gz archive ({error}); {remedy}") from error
    if missing:
        raise DataError(f"{path}: {', '.join(sorted(missing))} is missing; {remedy}")


def _batch(records: bytes, title: str, remedy: str) -> _Batch:
    rows = np.frombuffer(records, np.uint8).reshape(-1, _RECORD)
    labels = rows[:, 0].astype(np.int64)
    if labels.max(initial=0) >= _CLASSES:
        raise DataError(f"{title}: expected labels 0 to 9, found {labels.max()}; {remedy}")
    return _Batch(rows[:, 1:].reshape(-1, 3, 32, 32), labels)


CIFAR10 = served(CIFAR10Images)
