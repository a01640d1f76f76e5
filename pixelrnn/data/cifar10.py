"""CIFAR-10: 32 x 32 photographs in colour, from the binary archive or the Python version's folder.

The paper reports validation numbers without saying on which images. Here they are the last 5000
training images in file order, for every run the same.
"""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from pixelrnn.arguments import Positive, Seed, Workers, checked
from pixelrnn.data import registry
from pixelrnn.data.base import SPLITS, Split
from pixelrnn.data.converted import Builder
from pixelrnn.data.download import checksum, raw_file
from pixelrnn.data.pickles import read_arrays
from pixelrnn.data.published import StoredDataModule
from pixelrnn.errors import DataError

_TRAIN_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
_TEST_BATCHES = ["test_batch"]
_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS  # a label and the red, green and blue planes
_CLASSES = 10


class CIFAR10(StoredDataModule):
    """(3, 32, 32), 256 levels; 45,000 / 5000 / 10,000 images.

    Args:
        val_size: training images, from the end of the file order, kept for validation; with 0 all
            50,000 are trained on and there is no validation split (the paper's final run).
        root: folder of all data. A folder cifar-10-batches-py in it, or in its raw/, is used if
            the archive is not there.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        on_device: keep the images on the training device.
        seed: of the order of the data.
    """

    @checked
    def __init__(
        self,
        val_size: Annotated[int, Field(ge=0, lt=50_000)] = 5000,
        root: Path = Path("data"),
        batch_size: Positive = 16,
        eval_batch_size: Positive = 64,
        num_workers: Workers = 0,
        on_device: bool = False,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            registry.CIFAR10,
            root,
            in_memory=True,
            levels=256,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id="cifar10",
            splits=SPLITS if val_size else ("train", "test"),
            on_device=on_device,
        )
        self.val_size = val_size

    def build(self, builder: Builder) -> None:
        """See `StoredDataModule.build`."""
        batches = self._batches()
        for part, names in (("train", _TRAIN_BATCHES), ("test", _TEST_BATCHES)):
            with builder.part(part) as out:
                for name in names:
                    out.write(batches[name])

    def load(self, split: Split) -> np.ndarray:
        """See `PixelDataModule.load`."""
        if split == "test":
            return self.part("test")
        images = self.part("train")
        cut = len(images) - self.val_size
        return images[:cut] if split == "train" else images[cut:]

    def _batches(self) -> dict[str, np.ndarray]:
        """Name of a batch -> uint8 (n, 3, 32, 32)."""
        archive = self.source.files["train"][0]
        per_batch = self.source.parts["test"]
        folder = self._python_folder()
        if folder and not (self.root / "raw" / archive.name).exists():
            return {
                name: read_python_batch(folder / name, per_batch, md5)
                for name, md5 in self.source.members.items()
            }
        return dict(read_archive(raw_file(self.source, archive, self.root), per_batch))

    def _python_folder(self) -> Path | None:
        places = (self.root / "raw", self.root)
        found = [place / "cifar-10-batches-py" for place in places]
        return next((folder for folder in found if folder.is_dir()), None)


def read_archive(path: Path, per_batch: int) -> Iterator[tuple[str, np.ndarray]]:
    """The six batches of the binary archive, in the order in which they lie there.

    Members are read by their exact names and nothing is unpacked to the disc.

    Yields:
        Name without ".bin"; uint8 (per_batch, 3, 32, 32).

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
                records = archive.extractfile(member).read()
                yield wanted[member.name], _images(records, f"{path}: {member.name}", remedy)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a tar.gz archive ({error}); {remedy}") from error
    if missing:
        raise DataError(f"{path}: {', '.join(sorted(missing))} is missing; {remedy}")


def read_python_batch(path: Path, count: int, md5: str) -> np.ndarray:
    """A batch of the Python version: uint8 (count, 3, 32, 32).

    Raises:
        DataError: damaged, or not a pickle of arrays alone.
    """
    remedy = "restore the folder, or delete it, so that the binary version is fetched"
    if not path.is_file():
        raise DataError(f"{path} is missing; {remedy}")
    found = checksum(path, "md5")
    if found != md5:
        raise DataError(f"{path} is damaged: expected MD5 {md5}, found {found}; {remedy}")
    batch = read_arrays(path)
    data = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (count, _PIXELS):
        raise DataError(f"{path}: expected uint8 data of shape {(count, _PIXELS)}; {remedy}")
    return np.ascontiguousarray(data).reshape(count, 3, 32, 32)


def _images(records: bytes, title: str, remedy: str) -> np.ndarray:
    rows = np.frombuffer(records, np.uint8).reshape(-1, _RECORD)
    if rows[:, 0].max(initial=0) >= _CLASSES:
        raise DataError(f"{title}: expected labels 0 to 9, found {rows[:, 0].max()}; {remedy}")
    return rows[:, 1:].reshape(-1, 3, 32, 32)
