"""Sources that know symbols before the walk begins, and draw or ask for the others.

Where a pixel is known in every image, the walk computes no distribution. Images that are alike up
to the first unknown pixel are walked once up to there (`raster.generate`).

Axes: `B` images generated together, `C` colours, `H W` image.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pixelrnn.generation.sources import Draw, Generators, Position, Source, SourceOf, draws


@runtime_checkable
class Knowing(Source, Protocol):
    """A source that may know pixels before the walk begins.

    Attributes:
        copies: int64 (groups,), the number of images of each group that are alike up to the first
            unknown pixel, in what is known and in what they are conditioned on; those of a group
            follow each other. None: nothing is said.
    """

    copies: Tensor | None

    def knows(self, row: int, column: int) -> bool:
        """Say whether a pixel is known in every image. If so, `given` is asked for it."""
        ...

    def given(self, row: int, columns: range) -> Tensor:
        """Give the symbols of known pixels of a row, integers (B, C, columns).

        The source is not called for them. It is asked for each of them once, from left to right.
        """
        ...


class Unknowing:
    """A source that knows nothing before it is asked.

    Args:
        source: what is asked.
    """

    copies: Tensor | None = None

    def __init__(self, source: Source) -> None:
        self.source = source

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `Source`."""
        return self.source(log_probs, position)

    def knows(self, row: int, column: int) -> bool:
        """See `Knowing.knows`."""
        return False

    def given(self, row: int, columns: range) -> Tensor:
        """See `Knowing.given`."""
        raise KeyError((row, columns))


def knowing(source: Source) -> Knowing:
    """Return a source as one that says what it knows."""
    return source if isinstance(source, Knowing) else Unknowing(source)


class Completion:
    """Takes the symbol of a known pixel, draws at the others.

    A uniform is drawn at known pixels too, so that a draw does not depend on what is known after.

    Args:
        images: integers (B, C, H, W).
        known: bool (B, H, W).
        draw: for the pixels that are not known.
        copies: see `Knowing`.
    """

    def __init__(
        self, images: Tensor, known: Tensor, draw: Draw, copies: Tensor | None = None
    ) -> None:
        self.images = images
        self.known = known
        self.draw = draw
        self.copies = copies
        self.everywhere = known.all(0).tolist()
        self.anywhere = known.any(0).tolist()

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `Source`."""
        row, column, color = position
        drawn = self.draw(log_probs, position)
        if not self.anywhere[row][column]:
            return drawn
        given = self.images[:, color, row, column].to(drawn)
        return torch.where(self.known[:, row, column].to(drawn.device), given, drawn)

    def knows(self, row: int, column: int) -> bool:
        """See `Knowing.knows`."""
        return bool(self.everywhere[row][column])

    def given(self, row: int, columns: range) -> Tensor:
        """See `Knowing.given`."""
        count, colors = self.images.shape[:2]
        self.draw.skip(colors * len(columns), count)
        return self.images[:, :, row, _slice(columns)]


class Beforehand:
    """Takes symbols that were known before the walk began; asks a source for all others.

    The source is not asked, and does not learn, at the positions that were known.

    Args:
        images: integers (B, C, H, W), filled in where `known` says so.
        known: bool (H, W), the same pixels in every image.
        source: for the other pixels.
    """

    copies: Tensor | None = None  # images that differ somewhere, as the draws of one do

    def __init__(self, images: Tensor, known: Tensor, source: Source) -> None:
        self.images = images
        self.known = known.tolist()
        self.source = knowing(source)

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `Source`."""
        row, column, color = position
        if self.known[row][column]:
            return self.images[:, color, row, column]
        return self.source(log_probs, position)

    def knows(self, row: int, column: int) -> bool:
        """See `Knowing.knows`."""
        return self.known[row][column] or self.source.knows(row, column)

    def given(self, row: int, columns: range) -> Tensor:
        """See `Knowing.given`."""
        return torch.stack([self._given(row, column) for column in columns], dim=-1)

    def _given(self, row: int, column: int) -> Tensor:
        if self.known[row][column]:
            return self.images[:, :, row, column]
        return self.source.given(row, range(column, column + 1))[..., 0]


class OfSubsampled:
    """Asks the source of a large image for the pixels of a small one, which are some of its own.

    Args:
        source: of the large image.
        factor: (rows, columns) of the large image for one of the small image.
    """

    def __init__(self, source: Source, factor: tuple[int, int]) -> None:
        self.source = knowing(source)
        self.copies = self.source.copies
        self.factor = factor

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """See `Source`."""
        row, column, color = position
        return self.source(log_probs, Position(*self._place(row, column), color))

    def knows(self, row: int, column: int) -> bool:
        """See `Knowing.knows`."""
        return self.source.knows(*self._place(row, column))

    def given(self, row: int, columns: range) -> Tensor:
        """See `Knowing.given`."""
        first, step = self._place(row, columns.start), self.factor[1] * columns.step
        return self.source.given(first[0], range(first[1], self.factor[1] * columns.stop, step))

    def _place(self, row: int, column: int) -> tuple[int, int]:
        return row * self.factor[0], column * self.factor[1]


class FirstCopies:
    """What a source knows of the first image of each group that is alike.

    Args:
        source: with `copies`.
    """

    copies: Tensor | None = None

    def __init__(self, source: Knowing) -> None:
        assert source.copies is not None
        self.source = source
        self.first = source.copies.cumsum(0) - source.copies

    def __call__(self, log_probs: Tensor, position: Position) -> Tensor:
        """Refuse: a draw would be the same in all copies."""
        raise KeyError(position)

    def knows(self, row: int, column: int) -> bool:
        """See `Knowing.knows`."""
        return self.source.knows(row, column)

    def given(self, row: int, columns: range) -> Tensor:
        """See `Knowing.given`."""
        symbols = self.source.given(row, columns)
        return symbols[self.first.to(symbols.device)]


def first_known(source: Knowing, pixels: Iterable[int], width: int) -> int:
    """Count the pixels, flat indices into (H, W), that are known before the first unknown one."""
    known = itertools.takewhile(lambda pixel: source.knows(*divmod(pixel, width)), pixels)
    return sum(1 for _ in known)


def runs(source: Knowing, pixels: range, width: int) -> Iterator[tuple[int, range, bool]]:
    """Cut pixels, flat indices into (H, W), into runs of a row that are all known, or all unknown.

    Yields:
        The row of a run, its columns, and whether they are known.
    """
    places = (divmod(pixel, width) for pixel in pixels)
    for (row, known), run in itertools.groupby(places, lambda at: (at[0], source.knows(*at))):
        columns = [column for _, column in run]
        yield row, range(columns[0], columns[-1] + 1), known


def _slice(columns: range) -> slice:
    return slice(columns.start, columns.stop, columns.step)


def completions(
    images: Tensor,
    known: Tensor,
    generators: Generators,
    temperature: float = 1.0,
    copies: int = 1,
) -> SourceOf:
    """Make sources that keep the known pixels of images and draw the others, batch by batch.

    Args:
        images: integers (n, C, H, W).
        known: bool (H, W) or (n, H, W).
        generators: see `Generators`; one for each completion, if several.
        temperature: see `Draw`.
        copies: how many completions of each image, at least 1; they follow each other. All of an
            image must be conditioned on the same.

    Raises:
        ValueError: wrong `known`, not n * copies generators, copies below 1, or temperature not
            above 0; at once.
    """
    shape = (len(images), *images.shape[2:])
    expected = f"known must be bool of shape {shape[1:]} or {shape}"
    if not isinstance(known, Tensor):
        raise ValueError(f"{expected}, got {type(known)}")
    if known.dtype != torch.bool or known.shape not in (shape, shape[1:]):
        raise ValueError(f"{expected}, got {known.dtype} {tuple(known.shape)}")
    if copies < 1:
        raise ValueError(f"the number of completions of an image must be at least 1, got {copies}")
    known = known.expand(shape)
    draw = draws(len(images) * copies, generators, temperature)

    def source(part: slice) -> Completion:
        which = torch.arange(part.start, part.stop) // copies  # image of each completion
        alike = which.unique_consecutive(return_counts=True)[1] if copies > 1 else None
        return Completion(
            images[which.to(images.device)], known[which.to(known.device)], draw(part), alike
        )

    return source
