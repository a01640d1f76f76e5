"""The contract of a model: a causal network and a likelihood (section 2, equations 1 and 2).

    p(x) = prod over pixels i and colours k of p(x_{i,k} | all sub-pixels before it)

Order: rows top to bottom, columns left to right, then R, G, B.
Axes: `B` batch, `C` colours, `H W` image, `P` parameters of one distribution.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pixelrnn.generation.chunks import BATCH_SIZE, chunks, draws
from pixelrnn.generation.reference import OnRow
from pixelrnn.generation.sources import Completion, Generators
from pixelrnn.layers.apply import Run, whole
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.likelihood.choice import for_levels


class PixelModel(nn.Module, ABC):
    """Base of all models. A subclass writes `compose`; likelihood and generation follow from it.

    Attributes:
        color_groups: number of colours that see each other in order; 1 if they do not. A subclass
            sets it. Without it, or with layers that have no `step`, images are generated slowly.

    Args:
        image_shape: (C, H, W) of the images it takes and makes.
        levels: number of values of a sub-pixel.
        likelihood: what the outputs mean; None: Bernoulli for two levels, else categorical.

    Raises:
        ValueError: the likelihood has another number of levels.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], levels: int, likelihood: Likelihood | None
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.levels = levels
        self.likelihood = likelihood or for_levels(levels)
        if self.likelihood.levels != levels:
            raise ValueError(
                f"likelihood.levels={self.likelihood.levels} but levels={levels}: make them equal"
            )

    @abstractmethod
    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """The network, written once for whole images and single positions.

        At a single position it runs once for each colour group, on the features of that group
        alone (`layers.stepping`): besides `run`, only elementwise operations may stand here.

        Args:
            pixels: (..., C), scaled to [-1, 1].
            run: applies a layer (see `layers.apply`).

        Returns:
            (..., C * P); for colour k they may depend on sub-pixels before k only.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Parameters of every conditional: uint8 (B, C, H, W) -> (H, W, B, C, P). No checks."""
        pixels = self.scale(images).permute(2, 3, 0, 1)  # (H, W, B, C)
        return self.compose(pixels, whole).unflatten(-1, (self.image_shape[0], -1))

    def scale(self, symbols: Tensor) -> Tensor:
        """Levels -> [-1, 1], in the dtype of the weights (section 5.2: scaled and centred)."""
        dtype = next(self.parameters()).dtype
        return symbols.to(dtype) * (2 / (self.levels - 1)) - 1

    def log_prob(self, images: Tensor) -> Tensor:
        """Exact log-likelihood in nats, differentiable: uint8 (B, C, H, W) -> (B,).

        Raises:
            ValueError: wrong shape, dtype or level.
        """
        self.check_images(images)
        symbols = images.permute(2, 3, 0, 1)  # (H, W, B, C)
        return self.likelihood.log_prob(self(images), symbols).sum(dim=(0, 1, 3))

    def conditionals(self, images: Tensor) -> Tensor:
        """Log-probabilities of every level of every sub-pixel, given the sub-pixels before it.

        Args:
            images: uint8 (B, C, H, W).

        Returns:
            (B, C, levels, H, W) nats, normalised over levels.

        Raises:
            ValueError: wrong shape, dtype or level.
        """
        self.check_images(images)
        return self.likelihood.log_probs(self(images)).permute(2, 3, 4, 0, 1)

    def sample(
        self,
        n: int,
        generator: Generators = None,
        temperature: float = 1.0,
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Tensor:
        """Draw n images: uint8 (n, C, H, W). Exact at temperature 1.

        Args:
            n: number of images, at least 1.
            generator: of randomness: one, or a sequence of n, one for each image, which makes an
                image independent of its batch; None: torch's global one.
            temperature: divides the log-probabilities; below 1 sharpens.
            batch_size: images drawn together.
            progress: show pixels per second and the time left.

        Raises:
            ValueError: n or batch_size below 1, temperature not above 0, not n generators.
        """
        done = self.sample_chunks(
            n, generator, temperature, batch_size=batch_size, progress=progress
        )
        return torch.cat(list(done))

    def sample_chunks(
        self,
        n: int,
        generator: Generators = None,
        temperature: float = 1.0,
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
        on_row: OnRow | None = None,
    ) -> Iterator[Tensor]:
        """`sample`, yielding each batch when it is finished: uint8 (b, C, H, W).

        Args:
            n: as in `sample`, like all that is not named here.
            generator: as in `sample`.
            temperature: as in `sample`.
            batch_size: as in `sample`.
            progress: as in `sample`.
            on_row: called after each row with the images of the batch, black below that row, and
                the row: to show a picture while it grows.

        Raises:
            ValueError: as in `sample`.
        """
        return chunks(
            self,
            n,
            draws(n, generator, temperature),
            batch_size=batch_size,
            progress=progress,
            on_row=on_row,
        )

    def complete(
        self,
        images: Tensor,
        known: Tensor,
        generator: Generators = None,
        temperature: float = 1.0,
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Tensor:
        """Keep the known pixels, draw the rest in raster order given all before them.

        Known pixels that come later do not steer a draw: the model is autoregressive.

        Args:
            images: uint8 (B, C, H, W); unknown pixels may hold anything below `levels`.
            known: bool (H, W) or (B, H, W).
            generator: as in `sample`, like the rest.
            temperature: as in `sample`.
            batch_size: as in `sample`.
            progress: as in `sample`.

        Returns:
            uint8 (B, C, H, W).

        Raises:
            ValueError: wrong shape, dtype or level, or as in `sample`.
        """
        done = self.complete_chunks(
            images, known, generator, temperature, batch_size=batch_size, progress=progress
        )
        return torch.cat(list(done))

    def complete_chunks(
        self,
        images: Tensor,
        known: Tensor,
        generator: Generators = None,
        temperature: float = 1.0,
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
        on_row: OnRow | None = None,
    ) -> Iterator[Tensor]:
        """`complete`, yielding each batch when it is finished: uint8 (b, C, H, W).

        Args:
            images: as in `complete`.
            known: as in `complete`.
            generator: as in `sample`.
            temperature: as in `sample`.
            batch_size: as in `sample`.
            progress: as in `sample`.
            on_row: as in `sample_chunks`.

        Raises:
            ValueError: as in `complete`.
        """
        self.check_images(images)
        shape = (len(images), *self.image_shape[1:])
        if known.dtype != torch.bool or known.shape not in (shape, shape[1:]):
            raise ValueError(
                f"known must be bool of shape {shape[1:]} or {shape}, "
                f"got {known.dtype} {tuple(known.shape)}"
            )
        known = known.expand(shape)
        draw = draws(len(images), generator, temperature)
        return chunks(
            self,
            len(images),
            lambda part: Completion(images[part], known[part], draw(part)),
            batch_size=batch_size,
            progress=progress,
            on_row=on_row,
        )

    def check_images(self, images: Tensor) -> None:
        """Refuse images that the model cannot take.

        Raises:
            ValueError: says what was expected and what came.
        """
        if images.dtype != torch.uint8:
            raise ValueError(f"images must be uint8, got {images.dtype}")
        if images.dim() != 4 or images.shape[1:] != self.image_shape:
            expected = ", ".join(map(str, self.image_shape))
            raise ValueError(f"images must be (B, {expected}), got {tuple(images.shape)}")
        if self.levels < 256 and images.numel() and int(images.max()) >= self.levels:
            raise ValueError(
                f"images must hold values below levels={self.levels}, got {int(images.max())}"
            )
