"""Shift-noise meshes: each sub-pixel is a function of earlier ones plus noise, modulo the levels.

    x_t = (f(x_<t) + e_t) mod K,   e_t independent with probabilities q

Given the past, x_t is a shifted copy of q, whatever f is. So an image has the entropy H W C H(q),
and its log-probability is the sum of log q over its residuals x_t - f.
Axes: `N` images, `C` colours, `H W` image, `K` levels.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pixelrnn.arguments import Levels, Positive, Seed, Workers, checked
from pixelrnn.data.synthetic import SyntheticDataModule
from pixelrnn.errors import ConfigError

Noise = Literal["decay", "flip"]
Amount = Annotated[float, Field(gt=0)]
Rule = Literal["west", "north", "mean", "parity", "far"]

_Term = np.ndarray
# of arrays west, north, the last pixel of the row above, and, at the same pixel, the previous
# colour's value and residual; int64, 0 where there is none
_RULES: dict[str, Callable[[_Term, _Term, _Term, _Term, _Term], _Term]] = {
    "west": lambda west, north, far, value, residual: west,
    "north": lambda west, north, far, value, residual: north,
    "mean": lambda west, north, far, value, residual: (west + north + 1) // 2 + residual,
    "parity": lambda west, north, far, value, residual: west + north + value,
    "far": lambda west, north, far, value, residual: far,
}


class Mesh(SyntheticDataModule):
    """A shift-noise mesh of any size.

    Args:
        rule: f. "west", "north": a copy, easy; "mean": of both, plus the previous colour's
            residual, like a natural image; "parity": the sum of both and the previous colour: no
            pair of pixels is related; "far": the last pixel of the row above, needs full context.
        height: H.
        width: W.
        colors: C.
        levels: K.
        noise: q. "decay": proportional to exp(-min(e, K - e) / amount); "flip": any of the K - 1
            shifts, with probability `amount` together.
        amount: see `noise`.
        train_size: images.
        val_size: images.
        test_size: images.
        draw_seed: of the images.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        on_device: keep the images on the training device.
        seed: of the order of the data.
    """

    @checked
    def __init__(
        self,
        rule: Rule = "mean",
        height: Positive = 8,
        width: Positive = 8,
        colors: Positive = 1,
        levels: Levels = 16,
        noise: Noise = "decay",
        amount: Amount = 0.7,
        train_size: Positive = 20_000,
        val_size: Positive = 2000,
        test_size: Positive = 2000,
        draw_seed: Seed = 0,
        batch_size: Positive = 32,
        eval_batch_size: Positive = 256,
        num_workers: Workers = 0,
        on_device: bool = False,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            image_shape=(colors, height, width),
            levels=levels,
            sizes=(train_size, val_size, test_size),
            draw_seed=draw_seed,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id=f"mesh_{rule}_{height}x{width}x{colors}_{levels}_{noise}{amount:g}",
            on_device=on_device,
        )
        self.rule = rule
        self.noise_log_probs = noise_log_probs(levels, noise, amount)
        self.entropy = float(height * width * colors * entropy(self.noise_log_probs))

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """See `SyntheticDataModule.draw`."""
        colors, height, width = self.image_shape
        noise = random.choice(
            self.levels, size=(n, colors, height, width), p=np.exp(self.noise_log_probs)
        )
        images = np.zeros((n, colors, height, width), np.int64)
        nothing = np.zeros(n, np.int64)
        for i, j in np.ndindex(height, width):
            value = residual = nothing
            for k in range(colors):
                west = images[:, k, i, j - 1] if j else nothing
                north = images[:, k, i - 1, j] if i else nothing
                far = images[:, k, i - 1, -1] if i else nothing
                f = _RULES[self.rule](west, north, far, value, residual)
                residual = noise[:, k, i, j]
                value = images[:, k, i, j] = (f + residual) % self.levels
        return images.astype(np.uint8)

    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """See `SyntheticDataModule.log_prob_of`."""
        return self.noise_log_probs[self.residuals(images)].sum((1, 2, 3))

    def residuals(self, images: np.ndarray) -> np.ndarray:
        """The noise that made the images: (N, C, H, W) -> int64 (N, C, H, W)."""
        images = images.astype(np.int64)
        west, north, far = (np.zeros_like(images) for _ in range(3))
        west[..., 1:] = images[..., :-1]
        north[..., 1:, :] = images[..., :-1, :]
        far[..., 1:, :] = images[..., :-1, -1:]
        residuals = np.zeros_like(images)
        value = residual = np.zeros_like(images[:, 0])
        for k in range(images.shape[1]):
            f = _RULES[self.rule](west[:, k], north[:, k], far[:, k], value, residual)
            value = images[:, k]
            residual = residuals[:, k] = (value - f) % self.levels
        return residuals


class BlindSpotMesh(SyntheticDataModule):
    """Each pixel continues one of the row above, `shift` columns to the right.

        x[i, j] = (x[i - 1, j + shift] + e) mod K if that pixel exists, else uniform

    A model that cannot see that pixel can do no better than log K per pixel: all marginals are
    uniform, and no other pixel is related. Behind a 7 x 7 stem and 3-wide layers, PixelCNN and Row
    LSTM see the row above up to column j + 3; the Diagonal BiLSTM sees all of it.

    Args:
        shift: d; beyond 3 it lies in the blind spot.
        height: H.
        width: W.
        levels: K.
        noise: see `Mesh`.
        amount: see `Mesh`.
        train_size: images.
        val_size: images.
        test_size: images.
        draw_seed: of the images.
        batch_size: images per training step.
        eval_batch_size: images per evaluation step.
        num_workers: loader processes.
        on_device: keep the images on the training device.
        seed: of the order of the data.
    """

    @checked
    def __init__(
        self,
        shift: Positive = 5,
        height: Positive = 8,
        width: Positive = 16,
        levels: Levels = 2,
        noise: Noise = "flip",
        amount: Amount = 0.05,
        train_size: Positive = 20_000,
        val_size: Positive = 2000,
        test_size: Positive = 2000,
        draw_seed: Seed = 0,
        batch_size: Positive = 32,
        eval_batch_size: Positive = 256,
        num_workers: Workers = 0,
        on_device: bool = False,
        seed: Seed = 0,
    ) -> None:
        super().__init__(
            image_shape=(1, height, width),
            levels=levels,
            sizes=(train_size, val_size, test_size),
            draw_seed=draw_seed,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
            dataset_id=f"blind_spot_mesh{shift}_{height}x{width}_{levels}_{noise}{amount:g}",
            on_device=on_device,
        )
        self.shift = shift
        self.noise_log_probs = noise_log_probs(levels, noise, amount)
        related = (height - 1) * max(width - shift, 0)
        self.blind_entropy = float(height * width * np.log(levels))
        """What a model reaches, in nats, that cannot see the related pixel."""
        self.entropy = float(
            related * entropy(self.noise_log_probs) + (height * width - related) * np.log(levels)
        )

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """See `SyntheticDataModule.draw`."""
        images = random.integers(self.levels, size=(n, *self.image_shape))
        related = max(self.image_shape[2] - self.shift, 0)
        for i in range(1, self.image_shape[1]):
            noise = random.choice(self.levels, size=(n, 1, related), p=np.exp(self.noise_log_probs))
            images[:, :, i, :related] = (images[:, :, i - 1, self.shift :] + noise) % self.levels
        return images.astype(np.uint8)

    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """See `SyntheticDataModule.log_prob_of`."""
        images = images.astype(np.int64)
        related = max(self.image_shape[2] - self.shift, 0)
        residuals = images[:, 0, 1:, :related] - images[:, 0, :-1, self.shift :]
        known = self.noise_log_probs[residuals % self.levels].sum((1, 2))
        free = self.image_shape[1] * self.image_shape[2] - residuals[0].size
        return known - free * np.log(self.levels)


def noise_log_probs(levels: int, noise: Noise, amount: float) -> np.ndarray:
    """The logarithm of q: float64 (levels,), nats, finite.

    Raises:
        ConfigError: a "flip" with a probability of 1 or more.
    """
    e = np.arange(levels)
    if noise == "decay":
        logits = -np.minimum(e, levels - e) / amount
        return logits - np.logaddexp.reduce(logits)
    if amount >= 1:
        raise ConfigError(
            f"data.amount={amount:g} is a probability with data.noise=flip: choose one below 1"
        )
    return np.where(e == 0, np.log1p(-amount), np.log(amount / (levels - 1)))


def entropy(log_probs: np.ndarray) -> float:
    """In nats."""
    return float(-(np.exp(log_probs) * log_probs).sum())
