"""Data sets that come as files: verified, converted once, read from the converted arrays."""

from abc import abstractmethod
from pathlib import Path

import numpy as np

from pixelrnn.data.base import PixelDataModule, Split
from pixelrnn.data.converted import Builder, Store
from pixelrnn.data.registry import Source


class StoredDataModule(PixelDataModule):
    """Base of the published sets. A subclass writes `build`, which converts the raw files.

    Args:
        source: the entry of `data.registry`.
        root: folder of all data.
        in_memory: read the arrays whole, and check their checksums; else map them.
        levels: see `PixelDataModule`, as all that follow.
        batch_size: -
        eval_batch_size: -
        num_workers: -
        seed: -
        dataset_id: -
        splits: -
        on_device: -
    """

    def __init__(
        self,
        source: Source,
        root: Path,
        *,
        in_memory: bool,
        levels: int,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        seed: int,
        dataset_id: str,
        splits: tuple[Split, ...],
        on_device: bool = False,
    ) -> None:
        super().__init__(
            image_shape=source.image_shape,
            levels=levels,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id=dataset_id,
            splits=splits,
            on_device=on_device,
        )
        self.source = source
        self.root = root
        self.in_memory = in_memory

    @abstractmethod
    def build(self, builder: Builder) -> None:
        """Convert the raw files into every part of `source`.

        Raises:
            DataError: raw files are missing, damaged, or of another set.
        """

    @property
    def store(self) -> Store:
        """The converted files."""
        shapes = {
            part: (count, *self.source.image_shape) for part, count in self.source.parts.items()
        }
        return Store(self.root, self.source.name, shapes)

    def prepare_data(self) -> None:
        """Fetch, verify and convert what is not there yet; safe in many processes at once.

        Raises:
            DataError: see `build`.
        """
        self.store.prepare(self.build)

    def part(self, name: str) -> np.ndarray:
        """A converted array: uint8 (N, C, H, W)."""
        return self.store.read(name, in_memory=self.in_memory)
