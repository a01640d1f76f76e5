"""Crops of the two photographs that ship with scikit-learn: RGB, 256 levels, no download.

Each photograph is cut into tiles of 64 x 64 first, and the tiles into splits; a crop never leaves
its tile, so no pixel is shared between splits. Two photographs are no benchmark: they serve demos,
smoke tests and over-fitting checks.
Photographs: china.jpg and flower.jpg, CC BY 2.0, attributed in scikit-learn's images/README.txt.
"""

from typing import Literal

import numpy as np
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Positive, Seed, Workers, checked
from pixelrnn.data.base import PixelDataModule, Split
from pixelrnn.data.batches import RandomCrops

_TILE = 64


class Patches(PixelDataModule):
    """(3, size, size), 256 levels.

    Training sees crops at random places of 96 tiles. Validation and test are the non-overlapping
    crops of 12 tiles each; the training split is evaluated on the like crops of its tiles.

    Args:
        size: side of a crop.
        crops_per_epoch: random crops that make a training epoch.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        seed: of order and crops.
    """

    @checked
    def __init__(
        self,
        size: Literal[8, 16, 32, 64] = 16,
        crops_per_epoch: Positive = 4096,
        batch_size: Positive = 16,
        eval_batch_size: Positive = 64,
        num_workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            image_shape=(3, size, size),
            levels=256,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id=f"patches{size}",
        )
        self.size = size
        self.crops_per_epoch = crops_per_epoch

    def load(self, split: Split) -> np.ndarray:
        """See `PixelDataModule.load`."""
        tiles = _tiles(split)  # (M, 3, 64, 64)
        per_side = _TILE // self.size
        crops = tiles.reshape(len(tiles), 3, per_side, self.size, per_side, self.size)
        return np.ascontiguousarray(crops.transpose(0, 2, 4, 1, 3, 5)).reshape(
            -1, *self.image_shape
        )

    def training_set(self) -> Dataset[Tensor]:
        """Random crops, keyed by (seed, epoch, index)."""
        return RandomCrops(_tiles("train"), self.size, self.crops_per_epoch, self.seed)


def split_of(row: int, column: int) -> Split:
    """The split of a tile: of ten along each diagonal, one for validation, one for test."""
    place = (3 * row + column) % 10
    return {0: "val", 5: "test"}.get(place, "train")


def _tiles(split: Split) -> np.ndarray:
    """uint8 (M, 3, 64, 64)."""
    return np.stack(
        [
            photo[row * _TILE : (row + 1) * _TILE, column * _TILE : (column + 1) * _TILE]
            for photo in load_sample_images().images
            for row in range(photo.shape[0] // _TILE)
            for column in range(photo.shape[1] // _TILE)
            if split_of(row, column) == split
        ]
    ).transpose(0, 3, 1, 2)
