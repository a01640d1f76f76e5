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
from pydantic.dataclasses import dataclass

from pixelrnn import symbols
from pixelrnn.arguments import Levels, Positive
from pixelrnn.data.factory import served
from pixelrnn.data.synthetic import SyntheticImages
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


@dataclass
class MeshImages(SyntheticImages):
    """A shift-noise mesh of any size.

    Args:
        rule: the function f. "west", "north": a copy, easy; "mean": the mean of both, plus the
            previous colour's residual, like a natural image; "parity": the sum of both and the
            previous colour: no pair of pixels is related; "far": the last pixel of the row above,
            needs full context.
        height: number of rows, H.
        width: number of columns, W.
        colors: number of colours, C.
        levels: number of values of a sub-pixel, K.
        noise: the distribution q. "decay": proportional to exp(-min(e, K - e) / amount); "flip":
            any of the K - 1 shifts, with probability `amount` together.
        amount: how much noise; see `noise`.
    """

    rule: Rule = "mean"
    height: Positive = 8
    width: Positive = 8
    colors: Positive = 1
    levels: Levels = 16
    noise: Noise = "decay"
    amount: Amount = 0.7

    def __post_init__(self) -> None:
        self.image_shape = (self.colors, self.height, self.width)
        size = f"{self.height}x{self.width}x{self.colors}"
        self.dataset_id = f"mesh_{self.rule}_{size}_{self.levels}_{self.noise}{self.amount:g}"
        self.noise_log_probs = noise_log_probs(self.levels, self.noise, self.amount)

    @property
    def entropy(self) -> float:
        """The entropy of an image, in nats."""
        return float(np.prod(self.image_shape) * entropy(self.noise_log_probs))

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Independent images, pixel by pixel from noise: uint8 (n, C, H, W)."""
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
        return images.astype(symbols.stored(self.levels))

    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """Exact log-probability in nats: uint8 (n, C, H, W) -> float64 (n,)."""
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


@dataclass
class BlindSpotMeshImages(SyntheticImages):
    """Each pixel continues one of the row above, `shift` columns to the right.

        x[i, j] = (x[i - 1, j + shift] + e) mod K if that pixel exists, else uniform

    A model that cannot see that pixel can do no better than log K per pixel: all marginals are
    uniform, and no other pixel is related. Behind a 7 x 7 stem and 3-wide layers, PixelCNN and Row
    LSTM see the row above up to column j + 3; the Diagonal BiLSTM sees all of it.

    Args:
        shift: how many columns; beyond 3 the related pixel lies in the blind spot.
        height: number of rows, H.
        width: number of columns, W.
        levels: number of values of a sub-pixel, K.
        noise: the distribution of e. "decay": proportional to exp(-min(e, K - e) / amount);
            "flip": any of the K - 1 shifts, with probability `amount` together.
        amount: how much noise; see `noise`.
    """

    shift: Positive = 5
    height: Positive = 8
    width: Positive = 16
    levels: Levels = 2
    noise: Noise = "flip"
    amount: Amount = 0.05

    def __post_init__(self) -> None:
        self.image_shape = (1, self.height, self.width)
        size = f"{self.height}x{self.width}"
        noise = f"{self.noise}{self.amount:g}"
        self.dataset_id = f"blind_spot_mesh{self.shift}_{size}_{self.levels}_{noise}"
        self.noise_log_probs = noise_log_probs(self.levels, self.noise, self.amount)

    @property
    def entropy(self) -> float:
        """The entropy of an image, in nats."""
        gain = float(np.log(self.levels)) - entropy(self.noise_log_probs)
        return self.blind_entropy - (self.height - 1) * self._related * gain

    @property
    def blind_entropy(self) -> float:
        """What a model reaches, in nats per image, that cannot see the related pixel."""
        return float(self.height * self.width * np.log(self.levels))

    @property
    def _related(self) -> int:
        """How many pixels of a row continue one of the row above."""
        return max(self.width - self.shift, 0)

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Independent images, pixel by pixel from noise: uint8 (n, C, H, W)."""
        images = random.integers(self.levels, size=(n, *self.image_shape))
        related = self._related
        for i in range(1, self.image_shape[1]):
            noise = random.choice(self.levels, size=(n, 1, related), p=np.exp(self.noise_log_probs))
            images[:, :, i, :related] = (images[:, :, i - 1, self.shift :] + noise) % self.levels
        return images.astype(symbols.stored(self.levels))

    def log_prob_of(self, images: np.ndarray) -> np.ndarray:
        """Exact log-probability in nats: uint8 (n, C, H, W) -> float64 (n,)."""
        images = images.astype(np.int64)
        residuals = images[:, 0, 1:, : self._related] - images[:, 0, :-1, self.shift :]
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
    log_probs = np.full(levels, np.log(amount / (levels - 1)))
    log_probs[0] = np.log1p(-amount)
    return log_probs


def entropy(log_probs: np.ndarray) -> float:
    """The entropy of a distribution given by its log-probabilities, in nats."""
    return float(-(np.exp(log_probs) * log_probs).sum())


Mesh = served(MeshImages, batch_size=32)
BlindSpotMesh = served(BlindSpotMeshImages, batch_size=32)
