"""Crops of the two photographs that ship with scikit-learn: RGB, 256 levels, no download.

Each photograph is cut into tiles of 64 x 64 first, and the tiles into splits; a crop never leaves
its tile, so no pixel is shared between splits. Two photographs are no benchmark: they serve demos,
smoke tests and over-fitting checks.
Photographs: china.jpg and flower.jpg, CC BY 2.0, attributed in scikit-learn's images/README.txt.
"""

from typing import Literal

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Positive, Split
from pixelrnn.data.batches import RandomCrops
from pixelrnn.data.factory import served
from pixelrnn.data.image_set import ImageSet

_TILE = 64


@dataclass
class PatchesImages(ImageSet):
    """(3, size, size), 256 levels.

    Training sees crops at random positions in 96 tiles. Validation and test are the non-overlapping
    crops of 12 tiles each; the training split is evaluated on the same kind of crops of its tiles.

    Args:
        size: side of a crop.
        crops_per_epoch: random crops that make a training epoch.
    """

    size: Literal[8, 16, 32, 64] = 16
    crops_per_epoch: Positive = 4096

    def __post_init__(self) -> None:
        self.image_shape = (3, self.size, self.size)
        self.levels = 256
        self.dataset_id = f"patches{self.size}"

    def load(self, split: Split) -> np.ndarray:
        """The crops of a split that do not overlap: uint8 (N, 3, size, size)."""
        tiles = _tiles(split)  # (M, 3, 64, 64)
        per_side = _TILE // self.size
        crops = tiles.reshape(len(tiles), 3, per_side, self.size, per_side, self.size)
        return np.ascontiguousarray(crops.transpose(0, 2, 4, 1, 3, 5)).reshape(
            -1, *self.image_shape
        )

    def training_set(self, seed: int) -> Dataset[Tensor]:
        """Random crops of the tiles of the training split."""
        return RandomCrops(_tiles("train"), self.size, self.crops_per_epoch, seed)


Patches = served(PatchesImages)


def split_of(row: int, column: int) -> Split:
    """The split of a tile: one of ten along each diagonal is for validation, one for test."""
    splits: dict[int, Split] = {0: "val", 5: "test"}
    return splits.get((3 * row + column) % 10, "train")


def _photographs() -> list[np.ndarray]:
    """uint8 (height, width, 3) each."""
    from sklearn.datasets import load_sample_images  # slow to import; other data do without it

    found: list[np.ndarray] = load_sample_images().images
    return found


def _tiles(split: Split) -> np.ndarray:
    """uint8 (M, 3, 64, 64)."""
    return np.stack(
        [
            photo[row * _TILE : (row + 1) * _TILE, column * _TILE : (column + 1) * _TILE]
            for photo in _photographs()
            for row in range(photo.shape[0] // _TILE)
            for column in range(photo.shape[1] // _TILE)
            if split_of(row, column) == split
        ]
    ).transpose(0, 3, 1, 2)
