"""A few images in place of a whole data set, to measure what a training costs."""

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn import symbols
from pixelrnn.arguments import Split
from pixelrnn.data.image_set import ImageSet


def at_hand(image_set: ImageSet) -> bool:
    """Whether the images can be read without fetching or converting anything."""
    return image_set.state() in ("needs no files", "ready")


class Excerpt(ImageSet):
    """The training images of a set as they are, and the first images of its other splits.

    Args:
        whole: the set; its files are read.
        images: how many validation and test images.
    """

    def __init__(self, whole: ImageSet, images: int) -> None:
        self.whole = whole
        self.images = images
        _describe(self, whole)

    def load(self, split: Split) -> np.ndarray:
        """See `ImageSet.load`."""
        images = self.whole.load(split)
        return images if split == "train" else images[: self.images]

    def labels(self, split: Split) -> np.ndarray | None:
        """See `ImageSet.labels`."""
        labels = self.whole.labels(split)
        return labels if split == "train" or labels is None else labels[: self.images]

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """See `ImageSet.training_set`."""
        return self.whole.training_set(seed)


class Drawn(ImageSet):
    """Images of the shape and levels of a set, drawn at random; no file of the set is read.

    Args:
        whole: the set.
        training_images: how many there are for training.
        images: how many validation and test images at most.
    """

    def __init__(self, whole: ImageSet, training_images: int, images: int) -> None:
        held = (split for split in whole.splits if split != "train")
        self.counts: dict[Split, int] = {s: min(images, whole.estimated_count(s)) for s in held}
        self.counts["train"] = training_images
        _describe(self, whole)

    def load(self, split: Split) -> np.ndarray:
        """See `ImageSet.load`: independent uniform values, the same at each call."""
        count = self.count(split)
        generator = np.random.default_rng(0)
        shape = (count, *self.image_shape)
        return generator.integers(
            self.levels, size=shape, dtype=symbols.stored(self.levels).newbyteorder("=")
        )

    def labels(self, split: Split) -> np.ndarray | None:
        """See `ImageSet.labels`: one class after the other."""
        classes = len(self.class_names)
        return np.arange(self.count(split), dtype=np.int64) % classes if classes else None

    def count(self, split: Split) -> int:
        """See `ImageSet.count`."""
        return self.counts[split]


def _describe(excerpt: ImageSet, whole: ImageSet) -> None:
    """Give an excerpt the attributes of the set that it stands for."""
    excerpt.image_shape = whole.image_shape
    excerpt.levels = whole.levels
    excerpt.dataset_id = whole.dataset_id
    excerpt.splits = whole.splits
    excerpt.class_names = whole.class_names
    excerpt.pictured = whole.pictured
