"""Images drawn from a known distribution: exact entropy, exact log-probability of every image.

They are the yardstick of a likelihood. No model can have a mean negative log-likelihood below the
entropy, but for sampling error; one that does peeks at its targets.
"""

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from pixelrnn.data.base import SPLITS, PixelDataModule, Split


class SyntheticDataModule(PixelDataModule):
    """Base of the sets with known entropy. A subclass writes `draw` and `log_prob_of`.

    Args:
        image_shape: see `PixelDataModule`, as all without a text.
        levels: -
        sizes: number of images of train, val and test.
        draw_seed: of the images; another one gives other images of the same distribution.
        batch_size: -
        eval_batch_size: -
        num_workers: -
        seed: -
        dataset_id: -
        on_device: -
    """

    entropy: float
    """Of an image, in nats."""

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        levels: int,
        sizes: tuple[int, int, int],
        draw_seed: int,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        seed: int,
        dataset_id: str,
        on_device: bool,
    ) -> None:
        super().__init__(
            image_shape=image_shape,
            levels=levels,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id=dataset_id,
            on_device=on_device,
        )
        self.sizes = dict(zip(SPLITS, sizes, strict=True))
        self.draw_seed = draw_seed

    @abstractmethod
    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Independent images: uint8 (n, C, H, W)."""

    @abstractmethod
    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """Exact log-probability in nats: uint8 (n, C, H, W) -> float64 (n,)."""

    def load(self, split: Split) -> np.ndarray:
        """See `PixelDataModule.load`; the same images on every call."""
        random = np.random.default_rng([self.draw_seed, SPLITS.index(split)])
        return self.draw(self.sizes[split], random)

    def exact_log_prob(self, images: Tensor) -> Tensor:
        """Log-probability under the true distribution: uint8 (B, C, H, W) -> float64 (B,), nats."""
        exact = self.log_prob_of(images.cpu().numpy())
        return torch.from_numpy(exact).to(images.device)
