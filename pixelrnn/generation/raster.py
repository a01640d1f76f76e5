"""The walk in raster order: rows, columns, colours; at each sub-pixel a source gives the symbol.

The network advances one sub-pixel at a time (`layers.steps`). A whole image costs less than the
arithmetic of one forward pass, and a pixel costs the same in an image of any height.

The numbers are those of the whole forward up to rounding. On a CPU in float32, where products are
our own (`ops.few_rows`), an image's numbers are the same to the last bit in any batch and on any
number of threads. Elsewhere they depend on both: whoever decodes must walk as whoever encoded did.
"""

import copy
import logging
from typing import Self

import torch
from torch import Tensor

from pixelrnn import threads
from pixelrnn.generation import reference
from pixelrnn.generation.known import FirstCopies, Knowing, first_known, knowing, runs
from pixelrnn.generation.network import Network, NoStep, OnRow, blank
from pixelrnn.generation.sources import Position, Source
from pixelrnn.generation.stepper import Stepper
from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import repeated
from pixelrnn.ops import masks

log = logging.getLogger(__name__)


class Walk:
    """A walk in raster order: the images so far, and a network that stands before a pixel.

    Args:
        model: makes images of its `image_shape`.
        n: images generated together.
        context: what the images are conditioned on.

    Raises:
        NoStep: here, or from the first pixel, if the network can only be evaluated on whole images.
    """

    def __init__(self, model: Network, n: int, context: Context | None = None) -> None:
        self.stepper = Stepper(model, n, context)
        self.images = blank(model, n)  # uint8 (n, C, H, W)
        self.pixels_done = 0
        self.groups = masks.group_slices(self.images.shape[1], model.color_groups)
        levels = torch.arange(model.likelihood.levels, device=self.images.device)
        with torch.inference_mode():
            self.inputs = [model.inputs(levels[:, None], k) for k in range(self.images.shape[1])]
        self._bind()

    def repeat(self, n: int | Tensor) -> Self:
        """Make a walk over n copies of each image, side by side, that stands before the same pixel.

        So a known part is walked once and continued n times.

        Args:
            n: how many copies; or of each image its own number, int64 (B,).
        """
        twin = copy.copy(self)
        twin.images = repeated(self.images, n)
        with torch.inference_mode():
            twin.stepper = self.stepper.repeat(n)
        twin._bind()
        return twin

    def advance(
        self, source: Source, pixels: int | None = None, on_row: OnRow | None = None
    ) -> Tensor:
        """Go on by some pixels, or to the end.

        Args:
            source: chooses each symbol. Where it is `known.Knowing` and knows a pixel, it is given
                no distribution, and those are not computed. After the last pixel of the image that
                it does not know, nothing is computed.
            pixels: how many pixels to walk; None: all that are left.
            on_row: see `network.OnRow`.

        Returns:
            The images, uint8 (n, C, H, W), of which the pixels walked so far are filled in.
        """
        _, height, width = self.stepper.model.image_shape
        rest = height * width - self.pixels_done
        end = self.pixels_done + (rest if pixels is None else min(pixels, rest))
        source = knowing(source)
        needed = end  # pixels that the network must see, for the sake of later ones
        if end == height * width:
            needed -= first_known(source, range(end - 1, -1, -1), width)
        with torch.inference_mode():
            for row, columns, known in runs(source, range(self.pixels_done, end), width):
                if columns.start == 0 and self.pixels_done < needed:
                    self.stepper.begin_row(row)
                if known:
                    self._take(source, row, columns, self.pixels_done < needed)
                else:
                    for column in columns:
                        self._pixel(source, row, column)
                if on_row and columns.stop == width:
                    on_row(self.images, row)
        return self.images

    def _bind(self) -> None:
        """Cut the images into pixels; make room for the parameters of one, group by group."""
        model, (n, colors, _, _) = self.stepper.model, self.images.shape
        like = next(iter(model.parameters()))
        count = model.likelihood.parameters_per_pixel(colors)
        self.pixels = self.images.flatten(2).permute(2, 1, 0)  # (H W, C, n)
        self.parameters = like.new_zeros(n, count)
        slices = masks.group_slices(count, model.color_groups)
        self.shares = [self.parameters[:, share] for share in slices]

    def _pixel(self, source: Source, row: int, column: int) -> None:
        stepper, parameters, pixel = self.stepper, self.parameters, self.pixels[self.pixels_done]
        level_log_probs = stepper.model.likelihood.level_log_probs
        for group, members in enumerate(self.groups):
            self.shares[group].copy_(stepper(column, group))
            inputs = []
            for color in range(members.start, members.stop):
                log_probs = level_log_probs(parameters, pixel[:color].t(), color)
                symbols = source(log_probs, Position(row, column, color))
                pixel[color].copy_(symbols)
                inputs.append(self.inputs[color][symbols.long()])
            stepper.see(inputs[0] if len(inputs) == 1 else torch.cat(inputs, 1), column, group)
        self.pixels_done += 1

    def _take(self, source: Knowing, row: int, columns: range, needed: bool) -> None:
        """Take known symbols; unless they are needed, the network does not see them."""

        def take() -> Tensor:
            symbols = source.given(row, columns).to(self.images.device)  # (n, C, columns)
            self.pixels[self.pixels_done :][: len(columns)].copy_(symbols.permute(2, 1, 0))
            return symbols.transpose(1, 2)

        def inputs() -> list[Tensor]:
            of_pixel, scaled = take(), self.stepper.model.inputs
            return [scaled(of_pixel[..., group], group.start) for group in self.groups]

        if needed:
            self.stepper.pass_over(inputs, columns)
        else:
            take()
        self.pixels_done += len(columns)


def _started(
    model: Network, n: int, source: Knowing, context: Context | None, on_row: OnRow | None
) -> Walk:
    """Begin a walk over n images; what is known of images that are alike is walked once for all."""
    copies, (_, height, width) = source.copies, model.image_shape
    prefix = first_known(source, range(height * width), width)
    if copies is None or prefix == 0 or len(copies) == n:
        return Walk(model, n, context)
    firsts = FirstCopies(source)
    walk = Walk(model, len(copies), context and context.of(firsts.first))

    def row_done(images: Tensor, row: int) -> None:
        assert on_row is not None
        on_row(repeated(images, copies), row)

    walk.advance(firsts, prefix, on_row and row_done)
    return walk.repeat(copies)


def sensible_threads(model: Network, n: int) -> int:
    """Return how many threads to take for n images walked together (`pixelrnn.threads`)."""
    return threads.for_generation(sum(weight.numel() for weight in model.parameters()), n)


def generate(
    model: Network,
    n: int,
    source: Source,
    *,
    context: Context | None = None,
    on_row: OnRow | None = None,
    num_threads: int | None = None,
    steps_only: bool = False,
) -> Tensor:
    """Walk in raster order, asking `source` for each symbol: uint8 (n, C, H, W).

    A network that cannot be advanced position by position is evaluated whole for every sub-pixel,
    as by `reference.generate`, and a warning is logged.

    Args:
        model: makes images of its `image_shape`.
        n: images generated together.
        source: see `sources`.
        context: what the images are conditioned on.
        on_row: see `network.OnRow`.
        num_threads: of torch during the walk; None: see `threads.for_generation`.
        steps_only: refuse a network that cannot be advanced position by position. Who decodes must
            compute what who encoded did, and whole passes differ from steps by rounding.

    Raises:
        NoStep: `steps_only`, and the network can only be evaluated on whole images.
    """
    try:
        with threads.limited(num_threads or sensible_threads(model, n)):
            walk = _started(model, n, knowing(source), context, on_row)
            return walk.advance(source, on_row=on_row)
    except NoStep as reason:
        if steps_only:
            raise
        log.warning("generating by whole forward passes, which is slow: %s", reason)
        return reference.generate(model, n, source, context=context, on_row=on_row)
