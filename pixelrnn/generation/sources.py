"""Where the next symbol of a walk comes from: what a source is, and the source that draws.

Sources that know symbols before the walk begins stand in `known`. Axes: `B` images generated
together.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, overload

import numpy as np
import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator] | None
"""Random generators: one for each image, which makes an image the same in any batch (exactly, where
the network's numbers are: see `raster`); or one for all images; or None: torch's global one."""


BLOCK = 256
"""Uniforms drawn at once from the generator of an image."""


class Position(NamedTuple):
    """A sub-pixel in raster order."""

    row: int
    column: int
    color: int


class Source(Protocol):
    """Chooses the next symbol of every image."""

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """Choose symbols, integers (B,), given normalised log-probabilities (B, levels)."""
        ...


SourceOf = Callable[[slice], Source]
"""A function that makes the source of a batch, given which of all images the batch is."""


class Draw:
    """Draws by inversion: the number of levels whose cumulative probability is at most u.

    One uniform u is used per sub-pixel and image, whatever the distribution, so that two samplers
    with the same generator see the same uniforms. A generator of one image gives them in blocks of
    `BLOCK`, which is faster; it may therefore be left further on than the image needed.

    Args:
        generators: see `Generators`.
        temperature: divides the log-probabilities.

    Raises:
        ValueError: temperature not above 0.
    """

    def __init__(self, generators: Generators, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise ValueError(
                f"temperature must be above 0, got {temperature}: it divides the "
                "log-probabilities; a small one, such as 1e-6, takes the likeliest level"
            )
        self.generators = generators
        if generators is not None and not isinstance(generators, torch.Generator):
            self.generators = list(generators)  # each is asked for many times
        self.temperature = temperature
        self.block: list[Tensor] = []  # uniforms of the next sub-pixels, (B, 1) each, last first

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `Source`."""
        uniform = self._uniforms(len(log_probs), log_probs.device)
        weights = log_probs.double()
        if self.temperature != 1:  # however small it is, the largest weight stays finite
            weights = (weights - weights.amax(-1, keepdim=True)) / self.temperature
        return invert(weights, uniform)

    def skip(self, count: int, n: int) -> None:
        """Leave out the uniforms of some sub-pixels of n images, as if symbols had been drawn."""
        for _ in range(count):
            self._uniforms(n, torch.device("cpu"))

    def _uniforms(self, n: int, device: torch.device) -> Tensor:
        """Return the next uniform of each image: (n, 1) float64 in [0, 1)."""
        if self.generators is None or isinstance(self.generators, torch.Generator):
            return uniforms(n, self.generators).to(device)
        if not self.block:
            columns = [uniforms(BLOCK, generator) for generator in self.generators]
            self.block = list(torch.stack(columns, dim=1).to(device).flip(0))
        return self.block.pop().to(device)


def draws(n: int, generators: Generators, temperature: float = 1.0) -> Callable[[slice], Draw]:
    """Make sources that draw n images, batch by batch.

    Args:
        n: number of images.
        generators: see `Generators`.
        temperature: see `Draw`.

    Raises:
        ValueError: not n generators, or temperature not above 0; at once.
    """
    if generators is None or isinstance(generators, torch.Generator):
        draw = Draw(generators, temperature)
        return lambda part: draw
    if len(generators) != n:
        raise ValueError(f"one generator for each of {n} images, got {len(generators)}")
    Draw(None, temperature)  # refuses a temperature now, not when the first batch is due
    return lambda part: Draw(generators[part], temperature)


class ImageGenerators(Sequence[torch.Generator]):
    """A generator for each of many images, made when it is asked for: 100,000 fill half a GB.

    That of image i depends on (seed, i) alone, and begins anew each time it is asked for. So each
    image is to be asked for once, as `draws` does; for more, take `for_images`.
    torch's CPU generator uses the low 32 bits of its seed only: a seed is hashed to 32 bits, and
    images count on from there, so that no two of a call are alike.

    Args:
        seed: at least 0.
        n: number of images.
    """

    def __init__(self, seed: int, n: int) -> None:
        self.start = int(np.random.SeedSequence(seed).generate_state(1, np.uint32)[0])
        self.images = range(n)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> torch.Generator: ...
    @overload
    def __getitem__(self, index: slice) -> list[torch.Generator]: ...
    def __getitem__(self, index: int | slice) -> torch.Generator | list[torch.Generator]:
        """A new generator of one image, or new ones of several."""
        if isinstance(index, slice):
            return [self[image] for image in self.images[index]]
        return torch.Generator().manual_seed((self.start + self.images[index]) % 2**32)


def for_images(seed: int, n: int) -> list[torch.Generator]:
    """Make a generator for each image; that of image i depends on (seed, i) alone."""
    return list(ImageGenerators(seed, n))


def uniforms(n: int, generator: torch.Generator | None) -> Tensor:
    """Draw uniforms: (n, 1) float64 in [0, 1)."""
    device = generator.device if generator else None
    return torch.rand(n, 1, generator=generator, dtype=torch.float64, device=device)


def invert(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Choose symbols by inversion of the cumulative distribution.

    Args:
        log_weights: (B, levels) float64, need not be normalised.
        uniform: (B, 1) float64 in [0, 1).

    Returns:
        (B,) int64 in [0, levels); never a level of probability zero.
    """
    cumulative = log_weights.softmax(dim=-1).cumsum(dim=-1)
    total = cumulative[:, -1:]
    below_total = torch.nextafter(total, torch.zeros_like(total))
    threshold = torch.minimum(uniform * total, below_total)  # the product may round up to the total
    return (cumulative <= threshold).sum(dim=-1)
