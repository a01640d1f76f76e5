"""Datasets that are asked for a whole batch at once and know in which epoch they are asked.

Axes: `N` images, `b` images of a batch, `C` colours, `H W` image.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.data.order import Batch


class Images(Dataset[Tensor]):
    """Images as they lie in an array, in memory or memory-mapped.

    Args:
        images: uint8 (N, C, H, W).
    """

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 (b, C, H, W), a copy."""
        return torch.from_numpy(self.images[batch.indices])


class RandomCrops(Dataset[Tensor]):
    """Crops at random places of larger images, keyed by (seed, epoch, index).

    Args:
        tiles: uint8 (M, C, S, S), the images to crop from.
        size: side of a crop, at most S.
        crops: number of crops that make an epoch, N; crop i comes from tile i mod M.
        seed: of the places.
    """

    def __init__(self, tiles: np.ndarray, size: int, crops: int, seed: int) -> None:
        self.tiles = tiles
        self.size = size
        self.crops = crops
        self.seed = seed

    def __len__(self) -> int:
        """Crops in an epoch."""
        return self.crops

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 (b, C, size, size)."""
        places = self.tiles.shape[-1] - self.size + 1
        # the constant keeps this stream apart from that of the order of the data
        random = np.random.default_rng([self.seed, batch.epoch, 1])
        corners = random.integers(places, size=(self.crops, 2))[batch.indices]
        crops = [
            self.tiles[index % len(self.tiles), :, top : top + self.size, left : left + self.size]
            for index, (top, left) in zip(batch.indices, corners, strict=True)
        ]
        return torch.from_numpy(np.stack(crops))
