"""What the images of a data set are: the contract that every set fulfils.

An image set knows no loader and no model. `PixelDataModule` (base.py) serves it. Where a docstring
says uint8, images of more than 256 levels are uint16 or int32 (`symbols`).
Axes: `N` images, `C` colours, `H W` image.
"""

from abc import ABC, abstractmethod
from typing import get_args

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Split

SPLITS: tuple[Split, ...] = get_args(Split)


class ImageSet(ABC):
    """Base of all image sets. A subclass sets the attributes when it is made, and writes `load`.

    The attributes are known before any file is read: the model is built from them. The other
    methods have defaults that suit a set without files, labels and random training images.

    Attributes:
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.
        dataset_id: names what is measured, such as "mnist_static". Numbers of two data sets with
            different ids must not be compared; the id is stored with every result.
        splits: the splits that the set has; a set without validation images leaves "val" out.
        class_names: what the labels 0, 1, ... stand for, each name once; empty if the set has no
            labels. A model that is conditioned on classes keeps them with its weights.
        pictured: whether the images can be shown as pictures, the levels as shades.
    """

    image_shape: tuple[int, int, int]
    levels: int
    dataset_id: str
    splits: tuple[Split, ...] = SPLITS
    class_names: tuple[str, ...] = ()
    pictured: bool = True

    @abstractmethod
    def load(self, split: Split) -> np.ndarray:
        """The images of a split, in a fixed order: uint8 (N, C, H, W), array or memory map.

        Raises:
            DataError: files are missing or damaged.
        """

    def labels(self, split: Split) -> np.ndarray | None:
        """The classes of the images of a split, in the order of `load`: int64 (N,), from 0.

        None if the set has no labels. A set that has some also sets `class_names`.
        """
        return None

    def count(self, split: Split) -> int:
        """The number of images of a split. A set that can tell without its files overrides this."""
        return len(self.load(split))

    def estimated_count(self, split: Split) -> int:
        """About how many images a split has, where only the conversion of its files counts them."""
        return self.count(split)

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """What training sees where that is not what `load` gives: random crops or draws.

        Args:
            seed: every draw is keyed by (seed, epoch, index of the image) and nothing else.

        Returns:
            A dataset that is asked for a `sampler.Batch` and gives uint8 (b, C, H, W), whose image
            i shows image i mod N of the N that `load` gives, if these have labels; None: training
            sees the images as they are.
        """
        return None

    def prepare(self) -> None:  # noqa: B027  # most sets have no files
        """Fetch and convert what is not there yet; safe in many processes at once.

        Raises:
            DataError: files cannot be had; the message says what to do. No folder but that of the
                data is made.
        """

    def state(self) -> str:
        """What there is of the set on disc, in a few words, without reading it."""
        return "needs no files"

    def facts(self) -> list[tuple[str, str]]:
        """What is to be known of the set beyond shape, counts and labels: name and text of each.

        `pixelrnn data NAME` asks for it when the set is prepared.
        """
        return []

    @property
    def content_id(self) -> str | None:
        """A hash of the content, for a set that is read from files which may change.

        The identity of a run contains it. None: the arguments of the set determine its content.
        `content.digest_of_files` computes such a hash.

        Raises:
            DataError: the files are missing.
        """
        return None
