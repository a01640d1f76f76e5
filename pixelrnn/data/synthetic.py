"""Images drawn from a known distribution: exact entropy, exact log-probability of every image.

They are the yardstick of a likelihood. No model can have a mean negative log-likelihood below the
entropy, but for sampling error; one that does sees the pixels that it predicts.
"""

from abc import abstractmethod

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from pixelrnn.arguments import Positive, Seed, Split
from pixelrnn.data.image_set import SPLITS, ImageSet


@dataclass(kw_only=True)
class SyntheticImages(ImageSet):
    """Base of the sets with known entropy. A subclass writes `draw` and `log_prob_of`.

    Args:
        train_size: number of training images.
        val_size: number of validation images.
        test_size: number of test images.
        draw_seed: seed of the images; another one gives other images of the same distribution.
    """

    train_size: Positive = 20_000
    val_size: Positive = 2000
    test_size: Positive = 2000
    draw_seed: Seed = 0

    def facts(self) -> list[tuple[str, str]]:
        """The entropy."""
        return [("entropy", f"{self.entropy:.9g} nats per image")]

    @property
    @abstractmethod
    def entropy(self) -> float:
        """The entropy of an image, in nats."""

    @abstractmethod
    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Independent images: uint8 (n, C, H, W)."""

    @abstractmethod
    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """Exact log-probability in nats: uint8 (n, C, H, W) -> float64 (n,)."""

    def load(self, split: Split) -> np.ndarray:
        """The images of a split, the same on every call: uint8 (N, C, H, W)."""
        random = np.random.default_rng([self.draw_seed, SPLITS.index(split)])
        return self.draw(self.count(split), random)

    def count(self, split: Split) -> int:
        """The number of images of a split."""
        return {"train": self.train_size, "val": self.val_size, "test": self.test_size}[split]

    def exact_log_prob(self, images: Tensor) -> Tensor:
        """Log-probability under the true distribution: uint8 (B, C, H, W) -> float64 (B,), nats."""
        exact = self.log_prob_of(images.cpu().numpy())
        return torch.from_numpy(exact).to(images.device)
