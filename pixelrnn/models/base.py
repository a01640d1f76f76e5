"""The public contract of every model: an exact distribution over images (section 2).

    p(x) = prod over i of p(x_order[i] | x_order[0], ..., x_order[i - 1])

Nothing outside a model knows which architecture it talks to. A public method checks its arguments;
its private twin, named with an underscore, computes. Where a docstring says uint8, images of more
than 256 levels are int32 (`symbols`).

Axes: `B` batch, `C` colours, `H W` image.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pixelrnn import symbols
from pixelrnn.description import Described
from pixelrnn.generation.chunks import BATCH_SIZE, chunks
from pixelrnn.generation.known import completions
from pixelrnn.generation.network import OnRow
from pixelrnn.generation.sources import Generators, Source, SourceOf, draws
from pixelrnn.models import checks


class ImageDistribution(Described, nn.Module, ABC):
    """Base of all models: how images are scored, and generated one sub-pixel at a time.

    A subclass writes `_log_prob`, `_conditionals` and `_generate`; `causal.CausalModel` does so for
    one causal network.

    Args:
        image_shape: (C, H, W) of the images it scores and makes.
        levels: number of values of a sub-pixel.
        classes: number of classes if it is class-conditional; labels then go with every call.

    Attributes:
        class_names: what the labels 0, 1, ... stood for in training; empty if it is not known.
            Checkpoints hold them, and `load_model` sets them.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], levels: int, classes: int | None = None
    ) -> None:
        super().__init__()
        colors, height, width = image_shape
        self.image_shape = (colors, height, width)
        self.levels = levels
        self.classes = classes
        self.class_names: tuple[str, ...] = ()

    @property
    def order(self) -> Tensor:
        """The order of generation: int64 (C * H * W,), flat indices into (H, W, C).

        It is `arange` for a model that goes by rows, then columns, then colours.
        """
        return torch.arange(math.prod(self.image_shape))

    @property
    def rows_walked(self) -> int:
        """How often a walk calls `on_row`: once for each row of each image that it goes over."""
        return self.image_shape[1]

    @property
    def ordered(self) -> bool:
        """Whether levels are shades, the higher the brighter; embedded symbols have no order."""
        return True

    @property
    def pictured(self) -> bool:
        """Whether images can be shown as pictures, the levels as shades; codes cannot."""
        return self.ordered and self.levels <= 256

    def scales(self, images: Tensor) -> list[Tensor]:
        """The images as a model of several scales sees them, smallest first: here as they are.

        Args:
            images: uint8 (B, C, H, W).
        """
        return [images]

    def log_prob(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Compute the exact log-likelihood in nats; it is differentiable.

        Args:
            images: uint8 (B, C, H, W).
            labels: int64 (B,) for a class-conditional model, else None.

        Returns:
            (B,) nats.

        Raises:
            ValueError: wrong shape, dtype, level or labels.
        """
        self.check_images(images)
        self.check_labels(labels, len(images))
        return self._log_prob(images, labels)

    def conditionals(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Compute log p of every level of every sub-pixel, given those before it in `order`.

        Args:
            images: uint8 (B, C, H, W).
            labels: int64 (B,) for a class-conditional model, else None.

        Returns:
            (B, C, levels, H, W) nats, normalised over levels.

        Raises:
            ValueError: wrong shape, dtype, level or labels.
        """
        self.check_images(images)
        self.check_labels(labels, len(images))
        return self._conditionals(images, labels)

    def sample(
        self,
        n: int,
        labels: Tensor | None = None,
        generator: Generators = None,
        temperature: float = 1.0,
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Tensor:
        """Draw n images; exact at temperature 1.

        Args:
            n: number of images, at least 0.
            labels: int64 (n,) for a class-conditional model, else None.
            generator: one for all images, or a sequence of n, one for each image, which makes an
                image independent of its batch; None: torch's global one.
            temperature: divides the log-probabilities, above 0; below 1 sharpens.
            batch_size: images drawn together.
            progress: show pixels per second and the time left.

        Returns:
            uint8 (n, C, H, W).

        Raises:
            ValueError: an argument is out of its range, or not n generators, or wrong labels.
        """
        source_of = draws(n, generator, temperature)
        parts = self.walk(source_of, n, labels, batch_size=batch_size, progress=progress)
        return self._joined(parts)

    def complete(
        self,
        images: Tensor,
        known: Tensor,
        labels: Tensor | None = None,
        generator: Generators = None,
        temperature: float = 1.0,
        *,
        draws: int = 1,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Tensor:
        """Keep the known pixels and draw the others, each given all before it in `order`.

        Known pixels that come later do not steer a draw: the model is autoregressive. What is
        known before the first unknown pixel is walked once for all draws of an image.

        Args:
            images: uint8 (B, C, H, W); unknown pixels may hold anything below `levels`.
            known: bool (H, W) or (B, H, W), True where the pixel is kept.
            labels: int64 (B,) for a class-conditional model, else None.
            generator: one for all draws, or one for each; None: torch's global one.
            temperature: divides the log-probabilities, above 0; below 1 sharpens.
            draws: completions of each image, at least 1.
            batch_size: images walked together, those drawn of one image counted singly.
            progress: show pixels per second and the time left.

        Returns:
            uint8 (B * draws, C, H, W), the draws of an image one after the other.

        Raises:
            ValueError: wrong images, `known` or labels, or another argument is out of its range.
        """
        self.check_images(images)
        self.check_labels(labels, len(images))
        source_of = completions(images, known, generator, temperature, draws)
        parts = self.walk(
            source_of,
            len(images) * draws,
            None if labels is None else labels.repeat_interleave(draws),
            batch_size=batch_size,
            progress=progress,
        )
        return self._joined(parts)

    def walk(
        self,
        source_of: SourceOf,
        n: int,
        labels: Tensor | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
        on_row: OnRow | None = None,
        steps_only: bool = False,
    ) -> Iterator[Tensor]:
        """Generate n images, asking a source for every sub-pixel in `order`.

        Sampling, completion and coding are this walk with different sources
        (`generation.sources`).

        Args:
            source_of: makes the source of a batch, given which of the n images the batch is.
            n: number of images, at least 0.
            labels: int64 (n,) for a class-conditional model, else None.
            batch_size: images walked together.
            progress: show pixels per second and the time left, on stderr.
            on_row: called after each row with the images of the batch and the row: to show a
                picture while it grows. Below that row the images are black, or coarse.
            steps_only: refuse a model that can only be evaluated on whole images. For coding:
                whole passes differ from steps by rounding.

        Returns:
            An iterator over batches, uint8 (b, C, H, W), each yielded when it is finished.

        Raises:
            ValueError: n, batch_size or labels are wrong; at once.
            NoStep: `steps_only`, and the model has no steps; with the first batch.
        """
        self.check_labels(labels, n)

        def generate(part: slice, row_done: OnRow) -> Tensor:
            return self._generate(
                part.stop - part.start,
                source_of(part),
                None if labels is None else labels[part],
                on_row=row_done,
                steps_only=steps_only,
            )

        return chunks(
            generate,
            n,
            self.image_shape,
            self.rows_walked,
            batch_size=batch_size,
            progress=progress,
            on_row=on_row,
        )

    def check_complete(self) -> None:  # most models are
        """Refuse a network that is a part of other models only.

        Raises:
            ValueError: says what it needs.
        """

    def check_images(self, images: Tensor) -> None:
        """Refuse images that the model cannot take.

        Raises:
            ValueError: says what was expected and what came.
        """
        checks.check_images(images, self.image_shape, self.levels)

    def check_labels(self, labels: Tensor | None, n: int) -> None:
        """Refuse labels of n images that the model cannot take, or their absence.

        Raises:
            ValueError: says what was expected and what came.
        """
        checks.check_labels(labels, self.classes, n)

    @abstractmethod
    def _log_prob(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Compute `log_prob` without checks: nothing waits for the device."""

    @abstractmethod
    def _conditionals(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Compute `conditionals` without checks."""

    @abstractmethod
    def _generate(
        self,
        n: int,
        source: Source,
        labels: Tensor | None = None,
        *,
        on_row: OnRow | None = None,
        steps_only: bool = False,
    ) -> Tensor:
        """Generate one batch of n images in `order`: uint8 (n, C, H, W). See `walk`."""

    def _joined(self, parts: Iterator[Tensor]) -> Tensor:
        device = next(self.parameters()).device
        nothing = torch.zeros(0, *self.image_shape, dtype=symbols.dtype(self.levels), device=device)
        return torch.cat([nothing, *parts])
