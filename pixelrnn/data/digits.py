"""The 8 x 8 handwritten digits that ship with scikit-learn: real, small, no download.

1797 grey images of 17 levels. Neighbours in the file share writers, so the splits are cut in file
order; a shuffled split would leak writers into the test set.
"""

import numpy as np
from sklearn.datasets import load_digits

from pixelrnn.arguments import Positive, Seed, Workers, checked
from pixelrnn.data.base import PixelDataModule, Split

_SPLITS: dict[Split, slice] = {
    "train": slice(0, 1347),
    "val": slice(1347, 1572),
    "test": slice(1572, 1797),
}


class Digits(PixelDataModule):
    """(1, 8, 8), 17 levels, or 2 with `binary`; 1347 / 225 / 225 images.

    Args:
        binary: levels 8 to 16 become 1, those below 0.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        seed: of the order of the data.
    """

    @checked
    def __init__(
        self,
        binary: bool = False,
        batch_size: Positive = 32,
        eval_batch_size: Positive = 256,
        num_workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            image_shape=(1, 8, 8),
            levels=2 if binary else 17,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id="digits_binary" if binary else "digits",
        )
        self.binary = binary

    def load(self, split: Split) -> np.ndarray:
        """See `PixelDataModule.load`."""
        digits = load_digits().images[_SPLITS[split], None]
        return (digits >= 8 if self.binary else digits).astype(np.uint8)
