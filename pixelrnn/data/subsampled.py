"""Every f-th row and column of the images of another set.

A multi-scale model's small network can so be trained as a run of its own. Axes: `N` images, `b`
images of a batch, `C` colours, `H W` image, `h w` small image.
"""

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from pixelrnn.arguments import Split
from pixelrnn.data.image_set import ImageSet
from pixelrnn.data.sampler import Batch
from pixelrnn.ops import subsampling


class Subsampled(ImageSet):
    """An image set of smaller images, (C, h, w); they lie in memory.

    Args:
        whole: the set of the large images, (C, H, W).
        factor: (along rows, along columns).
    """

    def __init__(self, whole: ImageSet, factor: tuple[int, int]) -> None:
        self.whole = whole
        self.factor = factor
        self.image_shape = subsampling.small_shape(whole.image_shape, factor)
        self.levels = whole.levels
        self.dataset_id = f"{whole.dataset_id}_subsampled_{factor[0]}x{factor[1]}"
        self.splits = whole.splits
        self.class_names = whole.class_names
        self.pictured = whole.pictured

    def load(self, split: Split) -> np.ndarray:
        """See `ImageSet.load`."""
        small = subsampling.subsampled(np.asarray(self.whole.load(split)), self.factor)
        return np.ascontiguousarray(small)

    def labels(self, split: Split) -> np.ndarray | None:
        """See `ImageSet.labels`."""
        return self.whole.labels(split)

    def count(self, split: Split) -> int:
        """See `ImageSet.count`."""
        return self.whole.count(split)

    def estimated_count(self, split: Split) -> int:
        """See `ImageSet.estimated_count`."""
        return self.whole.estimated_count(split)

    def training_set(self, seed: int) -> Dataset[Tensor] | None:
        """See `ImageSet.training_set`: the same crops or draws as of the large images."""
        whole = self.whole.training_set(seed)
        return None if whole is None else _SmallBatches(whole, self.factor)

    def prepare(self) -> None:
        """See `ImageSet.prepare`."""
        self.whole.prepare()

    def state(self) -> str:
        """See `ImageSet.state`."""
        return self.whole.state()

    def facts(self) -> list[tuple[str, str]]:
        """See `ImageSet.facts`; of the large images."""
        return self.whole.facts()

    @property
    def content_id(self) -> str | None:
        """See `ImageSet.content_id`."""
        return self.whole.content_id


class _SmallBatches(Dataset[Tensor]):
    """What another dataset gives, subsampled."""

    def __init__(self, whole: Dataset[Tensor], factor: tuple[int, int]) -> None:
        self.whole = whole
        self.factor = factor

    def __len__(self) -> int:
        """The number of images."""
        return len(self.whole)  # type: ignore[arg-type]  # all of ours have a length

    def __getitem__(self, batch: Batch) -> Tensor:
        """uint8 (b, C, h, w)."""
        return subsampling.subsampled(self.whole[batch], self.factor).contiguous()
