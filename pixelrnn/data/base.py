"""The contract of a data set: splits of uint8 images, and loaders over them.

A data module knows no model. Its `image_shape` and `levels` reach the model through the
configuration, before any file is read.
Axes: `N` images, `C` colours, `H W` image.
"""

from abc import abstractmethod
from typing import Any, get_args

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pixelrnn.arguments import Split
from pixelrnn.data.batches import DeviceImages, Images
from pixelrnn.data.sampler import BatchOrder
from pixelrnn.errors import ConfigError, DataError

SPLITS: tuple[Split, ...] = get_args(Split)


class PixelDataModule(LightningDataModule):
    """Base of all data sets. A subclass writes `load`; see data/README.md.

    Args:
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.
        batch_size: images per training step, over all processes.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes; 0 suits sets that lie in memory.
        seed: of order and augmentation.
        dataset_id: of what is measured, such as "mnist_static": numbers of two data sets with
            different ids must not be compared. Stored with every result.
        splits: those that the set has; one without validation images leaves "val" out.
        on_device: keep the images of plain splits on the device of the trainer.

    Raises:
        ConfigError: `on_device` together with loader processes.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        levels: int,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        seed: int,
        dataset_id: str,
        splits: tuple[Split, ...] = SPLITS,
        on_device: bool = False,
    ) -> None:
        super().__init__()
        if on_device and num_workers:
            raise ConfigError(
                "data.on_device=true keeps the images in this process: set data.num_workers=0"
            )
        self.image_shape = image_shape
        self.levels = levels
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.dataset_id = dataset_id
        self.splits = splits
        self.on_device = on_device
        self._images: dict[Split, np.ndarray] = {}

    @abstractmethod
    def load(self, split: Split) -> np.ndarray:
        """The images of a split, in a fixed order: uint8 (N, C, H, W), array or memory map.

        Raises:
            DataError: files are missing or damaged.
        """

    def training_set(self) -> Dataset[Tensor]:
        """What training sees; a set with random crops or draws overrides it."""
        return self._plain(self.images("train"))

    def setup(self, stage: str | None = None) -> None:
        """Load and check all splits. Lightning calls it in every process."""
        for split in self.splits:
            self.images(split)

    def images(self, split: Split) -> np.ndarray:
        """The images of a split, loaded and checked on first use: uint8 (N, C, H, W).

        Raises:
            DataError: the images are not what `image_shape` and `levels` say, or the set has no
                such split.
        """
        if split not in self.splits:
            raise DataError(
                f"{self.dataset_id} as configured has no {split} split, only "
                f"{', '.join(self.splits)}: evaluate on one of these, or set data.val_size above 0"
            )
        if split not in self._images:
            self._images[split] = self._checked(split, self.load(split))
        return self._images[split]

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Shuffled batches; after a resume in mid-epoch, those not yet done come first."""
        epoch, done = self._position()
        loader = self._loader(self.training_set(), self.batch_size, seed=self.seed, skip=done)
        loader.sampler.set_epoch(epoch)
        return loader

    def val_dataloader(self) -> DataLoader[Tensor] | list[DataLoader[Tensor]]:
        """One pass over the validation split, in order; no loader if the set has none."""
        return self.eval_dataloader("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader[Tensor]:
        """One pass over the test split, in order."""
        return self.eval_dataloader("test")

    def eval_dataloader(self, split: Split) -> DataLoader[Tensor]:
        """One exact pass over a split: every image once, in order, as `load` gives it."""
        return self._loader(self._plain(self.images(split)), self.eval_batch_size, seed=None)

    def __getstate__(self) -> dict[str, Any]:
        """Without the images: a process that is spawned opens them itself, instead of a copy."""
        return {**self.__dict__, "_images": {}}

    def _plain(self, images: np.ndarray) -> Dataset[Tensor]:
        if not self.on_device:
            return Images(images)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return DeviceImages(images, device)

    def _loader(
        self, data: Dataset[Tensor], batch_size: int, *, seed: int | None, skip: int = 0
    ) -> DataLoader[Tensor]:
        rank, world = (
            (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        )
        order = BatchOrder(len(data), batch_size, seed=seed, rank=rank, world=world, skip=skip)
        return DataLoader(
            data,
            sampler=order,
            batch_size=None,  # the sampler yields whole batches
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def _position(self) -> tuple[int, int]:
        """Epoch that an interrupted run has to go on with, and batches of it that are done.

        Loader workers fetch ahead as soon as Lightning has made the loader, before it says which
        epoch it is.
        """
        if self.trainer is None:
            return 0, 0
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        if progress.is_last_batch:
            return self.trainer.current_epoch + 1, 0
        return self.trainer.current_epoch, progress.current.processed

    def _checked(self, split: Split, images: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8 or images.shape[1:] != tuple(self.image_shape):
            raise DataError(
                f"{self.dataset_id} {split}: expected uint8 images {self.image_shape}, "
                f"found {images.dtype} {images.shape[1:]}"
            )
        if len(images) == 0:
            raise DataError(f"{self.dataset_id} {split}: no images")
        if self.levels < 256 and images.max() >= self.levels:
            raise DataError(
                f"{self.dataset_id} {split}: values must be below {self.levels}, "
                f"found {images.max()}"
            )
        return images
