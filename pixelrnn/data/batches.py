"""Datasets that are asked for a whole batch at once and know in which epoch they are asked.

A loader of ours gives `Examples`: images and, where the set has labels, their classes. Where a
docstring says uint8, images of more than 256 levels are uint16 or int32 in an array, and int32 in a
batch (`symbols`).

Axes: `N` images, `b` images of a batch, `C` colours, `H W` image.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn import symbols
from pixelrnn.data.file_rows import FileRows
from pixelrnn.data.sampler import Batch


class Examples(NamedTuple):
    """A batch as loaders give it. Its `len` is 2; the number of images is `len(images)`.

    Attributes:
        images: uint8 (b, C, H, W).
        labels: int64 (b,); None if the set has no labels.
    """

    images: Tensor
    labels: Tensor | None = None


def examples(batch: Any) -> Examples:
    """Take what a loader gave, ours or another: images alone, or a pair of images and labels."""
    return Examples(*batch) if isinstance(batch, tuple | list) else Examples(batch)


class Labelled(Dataset[Examples]):
    """Images together with their labels.

    Args:
        images: asked for a `Batch`, gives uint8 (b, C, H, W).
        labels: int64 (N,), or None. An index beyond N counts from the start again: there may be
            more crops than images.
    """

    def __init__(self, images: Dataset[Tensor], labels: np.ndarray | None) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)  # type: ignore[arg-type]  # all of ours have a length

    def __getitem__(self, batch: Batch) -> Examples:
        """The images and labels of a batch, on one device."""
        images = self.images[batch]
        if self.labels is None:
            return Examples(images)
        labels = torch.from_numpy(self.labels[batch.indices % len(self.labels)])
        return Examples(images, labels.to(images.device))


class Images(Dataset[Tensor]):
    """Images as they lie in an array, in memory or memory-mapped.

    Of a map the rows are read from its file, so that a file which is cut or changed in mid-run is
    an error that names it, and no signal that kills the process. A loader process that is spawned
    opens the file itself: pickling the map would copy it.

    Args:
        images: uint8 or uint16 (N, C, H, W).

    Raises:
        DataError: here and when images are asked for: the file of a map cannot be read, or has
            changed.
    """

    def __init__(self, images: np.ndarray) -> None:
        rows = FileRows.of(images)
        self.images: np.ndarray | FileRows = images if rows is None else rows

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 or int32 (b, C, H, W), a copy."""
        return symbols.tensor(self.images[batch.indices])


class DeviceImages(Dataset[Tensor]):
    """All images in the memory of a device: batches are gathered there, nothing is transferred.

    Args:
        images: uint8 (N, C, H, W).
        device: where to keep them.
    """

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        self.images = symbols.tensor(np.array(images)).to(device)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 (b, C, H, W) on the device, a copy."""
        return self.images[torch.from_numpy(batch.indices).to(self.images.device)]


class RandomDraws(Dataset[Tensor]):
    """Binary images drawn anew for each presentation, keyed by (seed, epoch, index).

    A pixel of level g is 1 with probability g / 255, exactly.

    Args:
        images: grey levels, uint8 (N, C, H, W).
        seed: seed of the draws.
    """

    def __init__(self, images: np.ndarray, seed: int) -> None:
        self.images = images
        self.seed = seed

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 (b, C, H, W), values 0 and 1."""
        # one stream per image: a draw does not depend on the company it comes in
        drawn = np.empty((len(batch.indices), *self.images.shape[1:]), np.uint8)
        for row, index in enumerate(batch.indices):
            random = np.random.default_rng([self.seed, batch.epoch, 2, index])
            drawn[row] = draw(self.images[index], random)
        return torch.from_numpy(drawn)


def draw(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Bernoulli draws with probabilities images / 255: uint8 of the same shape, 0 and 1."""
    return (random.integers(255, size=images.shape, dtype=np.uint8) < images).astype(np.uint8)


class RandomCrops(Dataset[Tensor]):
    """Crops at random positions of larger images, keyed by (seed, epoch, index).

    Args:
        tiles: the images to crop from, uint8 (M, C, S, S).
        size: side of a crop, at most S.
        crops: number of crops that make an epoch; crop i comes from tile i mod M.
        seed: seed of the positions.
    """

    def __init__(self, tiles: np.ndarray, size: int, crops: int, seed: int) -> None:
        self.tiles = tiles
        self.size = size
        self.crops = crops
        self.seed = seed

    def __len__(self) -> int:
        """The number of crops in an epoch."""
        return self.crops

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 (b, C, size, size)."""
        positions = self.tiles.shape[-1] - self.size + 1
        # the constant keeps this stream apart from that of the order of the data
        random = np.random.default_rng([self.seed, batch.epoch, 1])
        corners = random.integers(positions, size=(self.crops, 2))[batch.indices]
        crops = [
            self.tiles[index % len(self.tiles), :, top : top + self.size, left : left + self.size]
            for index, (top, left) in zip(batch.indices, corners, strict=True)
        ]
        return symbols.tensor(np.stack(crops))
