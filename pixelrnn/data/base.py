"""The data module: loaders over the images of one image set.

A data module knows no model. Its `image_shape` and `levels` give the model its shape before any
file is read.
Axes: `N` images, `C` colours, `H W` image.
"""

from typing import Any, Literal

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pixelrnn.arguments import Positive, Seed, Split, Workers, checked
from pixelrnn.data import checks
from pixelrnn.data.batches import DeviceImages, Examples, Images, Labelled
from pixelrnn.data.image_set import SPLITS as SPLITS
from pixelrnn.data.image_set import ImageSet
from pixelrnn.data.loader import Loader
from pixelrnn.data.sampler import BatchOrder
from pixelrnn.data.subsampled import Subsampled
from pixelrnn.errors import ConfigError, DataError
from pixelrnn.ops.subsampling import Factor, pair

UNSETTLED = 64
"""Images per evaluation step where `eval_batch_size` is "auto" and nobody has settled it."""


class PixelDataModule(LightningDataModule):
    """Serves any image set; works with any Lightning Trainer. A batch is an `Examples`.

    Args:
        image_set: the images.
        batch_size: images per training step, over all processes.
        eval_batch_size: images per evaluation step, over all processes; "auto": by the memory that
            a model's forward pass takes (`training.evaluation_batch`), 64 where no model is known.
        num_workers: loader processes; 0 suits sets that lie in memory.
        on_device: keep the images on the device of the trainer. Random crops and draws are made on
            the host all the same.
        seed: seed of the order of the training images and of random crops and draws.
        subsample: above 1: every so many-th row and column of the images alone, in memory; (rows,
            columns) if they differ.

    Attributes:
        settled_batch: what "auto" means for the model that is evaluated; None: not settled yet.

    Raises:
        ConfigError: `on_device` together with loader processes.
    """

    @checked
    def __init__(
        self,
        image_set: ImageSet,
        *,
        batch_size: Positive = 16,
        eval_batch_size: Positive | Literal["auto"] = "auto",
        num_workers: Workers = 0,
        on_device: bool = False,
        seed: Seed = 0,
        subsample: Factor = 1,
    ) -> None:
        super().__init__()
        if on_device and num_workers:
            raise ConfigError(
                "data.on_device=true keeps the images in this process: set data.num_workers=0"
            )
        factor = pair(subsample)
        self.image_set = image_set if factor == (1, 1) else Subsampled(image_set, factor)
        self.image_shape = self.image_set.image_shape
        self.levels = self.image_set.levels
        self.dataset_id = self.image_set.dataset_id
        self.splits = self.image_set.splits
        self.class_names = self.image_set.class_names
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.settled_batch: int | None = None
        self.num_workers = num_workers
        self.on_device = on_device
        self.seed = seed
        self._images: dict[Split, np.ndarray] = {}
        self._served: dict[Split, Images] = {}
        self._labels: dict[Split, np.ndarray | None] = {}

    @property
    def classes(self) -> int | None:
        """The number of classes; None if the set names none."""
        return len(self.class_names) or None

    @property
    def evaluation_batch(self) -> int | None:
        """Images per evaluation step, over all processes; None: "auto" is not settled yet."""
        return self.settled_batch if self.eval_batch_size == "auto" else self.eval_batch_size

    @property
    def content_id(self) -> str | None:
        """A hash of the content of the files; None if the configuration determines it."""
        return self.image_set.content_id

    def prepare_data(self) -> None:
        """Fetch and convert what is not there yet. Lightning calls it in one process per machine.

        Raises:
            DataError: files cannot be had; the message says what to do.
        """
        self.image_set.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Load and check all splits. Lightning calls it in every process."""
        for split in self.splits:
            self.images(split)
            self.labels(split)

    def images(self, split: Split) -> np.ndarray:
        """The images of a split, loaded and checked on first use: uint8 (N, C, H, W).

        Raises:
            DataError: the images are not what `image_shape` and `levels` say, or the set has no
                such split.
        """
        self._require(split)
        if split not in self._images:
            images = self.image_set.load(split)
            served = Images(images)  # from here on a change of its file is noticed
            checks.check_images(self._title(split), images, self.image_shape, self.levels)
            self._served[split] = served
            self._images[split] = images
        return self._images[split]

    def labels(self, split: Split) -> np.ndarray | None:
        """The classes of the images of a split, loaded and checked on first use: int64 (N,).

        None if the set has no labels.

        Raises:
            DataError: the labels are not one for each image and below `classes`, the set has no
                such split, or its files are missing or damaged.
        """
        self._require(split)
        if split not in self._labels:
            labels = self.image_set.labels(split)
            count = len(self.images(split))
            checks.check_labels(self._title(split), labels, count, self.classes)
            self._labels[split] = labels
        return self._labels[split]

    def training_set(self) -> Dataset[Examples]:
        """What training sees: the images of the training split, or random crops or draws."""
        images = self.image_set.training_set(self.seed)
        if images is None:
            images = self._plain("train")
        return Labelled(images, self.labels("train"))

    def images_per_epoch(self) -> int:
        """How many images training sees in an epoch: those of its split, or crops or draws."""
        drawn = self.image_set.training_set(self.seed)
        return len(self.images("train") if drawn is None else drawn)  # type: ignore[arg-type]

    def train_dataloader(self) -> DataLoader[Examples]:
        """Shuffled batches; after a resume in mid-epoch, those not yet done come first."""
        data = self.training_set()
        epoch, done = self._position()
        rank, world = self._share()
        size = len(data)  # type: ignore[arg-type]  # all of ours have a length
        order = BatchOrder(size, self.batch_size, seed=self.seed, rank=rank, world=world, skip=done)
        order.set_epoch(epoch)
        return self._loader(data, order)

    def val_dataloader(self) -> DataLoader[Examples] | list[DataLoader[Examples]]:
        """One pass over the validation split, in order; no loader if the set has none."""
        return self.eval_dataloader("val") if "val" in self.splits else []

    def test_dataloader(self) -> DataLoader[Examples]:
        """One pass over the test split, in order."""
        return self.eval_dataloader("test")

    def eval_dataloader(
        self, split: Split, share: tuple[int, int] | None = None
    ) -> DataLoader[Examples]:
        """One exact pass over a split: every image once, in order, as the set loads it.

        Args:
            split: which images.
            share: rank of this process and number of processes that share the images; None: those
                of the Trainer that this data module is attached to.
        """
        count = len(self.images(split))
        rank, world = self._share() if share is None else share
        size = self.evaluation_batch or UNSETTLED
        order = BatchOrder(count, size, seed=None, rank=rank, world=world)
        return self._loader(Labelled(self._plain(split), self.labels(split)), order)

    def __getstate__(self) -> dict[str, Any]:
        """Without the images: a process that is spawned opens them itself, instead of a copy."""
        return {**self.__dict__, "_images": {}, "_served": {}, "_labels": {}}

    def _plain(self, split: Split) -> Dataset[Tensor]:
        """The images of a split as `load` gives them."""
        images = self.images(split)
        if not self.on_device:
            return self._served[split]
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return DeviceImages(images, device)

    def _loader(self, data: Dataset[Examples], order: BatchOrder) -> DataLoader[Examples]:
        return Loader(
            data,
            sampler=order,
            batch_size=None,  # the sampler yields whole batches
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            generator=torch.Generator(),  # else each pass takes a draw from the global one
        )

    def _share(self) -> tuple[int, int]:
        """The rank of this process and the number of processes.

        Raises:
            ConfigError: Lightning would replace the order of the batches by its own.
        """
        if self.trainer is None or self.trainer.world_size == 1:
            return 0, 1
        if self.trainer._accelerator_connector.use_distributed_sampler:
            raise ConfigError(
                "trainer.use_distributed_sampler=true with several processes: the data module "
                "deals each batch to the processes itself; set trainer.use_distributed_sampler="
                "false, as in Trainer(use_distributed_sampler=False)"
            )
        return self.trainer.global_rank, self.trainer.world_size

    def _position(self) -> tuple[int, int]:
        """The epoch that an interrupted run has to go on with, and how many batches are done.

        Loader workers fetch ahead as soon as Lightning has made the loader, before it says which
        epoch it is.
        """
        if self.trainer is None:
            return 0, 0
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        if progress.is_last_batch:
            return self.trainer.current_epoch + 1, 0
        return self.trainer.current_epoch, progress.current.processed

    def _title(self, split: Split) -> str:
        return f"{self.dataset_id} {split}"

    def _require(self, split: Split) -> None:
        if split not in self.splits:
            raise DataError(
                f"{self.dataset_id} as configured has no {split} split, only "
                f"{', '.join(self.splits)}: evaluate on one of these, or set data.val_size above 0"
            )
