"""The raster traversal: rows, columns, colours; at each sub-pixel a source is asked for a symbol.

The network advances one sub-pixel at a time (`layers.stepping`). A whole image costs less than the
arithmetic of one forward pass, and a pixel costs the same in an image of any height.

The numbers are those of the whole forward up to rounding. On a CPU in float32, where products are
our own (`ops.few_rows`), an image's numbers are the same to the last bit in any batch and on any
number of threads. Elsewhere they depend on both: whoever decodes must walk as whoever encoded did.
"""

import itertools
import logging
from typing import Protocol

import torch
from torch import Tensor, nn

from pixelrnn.generation import network, reference, threads
from pixelrnn.generation.network import NoStep, OnRow
from pixelrnn.generation.sources import Position, Source
from pixelrnn.layers.apply import Context, Run
from pixelrnn.layers.stepping import Step
from pixelrnn.ops import masks

log = logging.getLogger(__name__)


class SteppingNetwork(network.Network, Protocol):
    """A network whose composition runs one position at a time."""

    color_groups: int
    """Number of colours that see each other in order; 1 if they do not see each other."""

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """The parameters of the distributions, written once over `run` (see `layers.apply`)."""
        ...

    def scale(self, symbols: Tensor) -> Tensor:
        """Levels -> what the network takes in."""
        ...


class Stepper:
    """A network at one position of the raster. It holds all that is remembered of those before.

    Args:
        network: left as it is: memory and prepared weights are in the steps.
        batch: images advanced together, B.
        context: what the images are conditioned on.

    Raises:
        NoStep: here, or from the first call, for a network that is not written for this.
    """

    def __init__(
        self, network: SteppingNetwork, batch: int, context: Context | None = None
    ) -> None:
        for name in ("compose", "scale", "color_groups"):
            if not hasattr(network, name):
                raise NoStep(f"{type(network).__name__} has no {name!r}")
        self.network = network
        self.batch = batch
        self.context = context
        self.width = network.image_shape[2]
        self.steps: list[Step] = []  # in the order in which the composition calls the layers

    def __call__(self, pixels: Tensor, column: int, group: int) -> Tensor:
        """Advance by one substep: (B, colours of a group) -> (B, parameters of this group).

        Args:
            pixels: scaled; the colour group before this one; zeros at the first call.
            column: of this pixel.
            group: colour group within the pixel.
        """
        calls = itertools.count()

        def run(layer: nn.Module, x: Tensor) -> Tensor:
            call = next(calls)
            if call == len(self.steps):
                self.steps.append(self._step_of(layer))
            return self.steps[call](x, column, group)

        return self.network.compose(pixels, run)

    def _step_of(self, layer: nn.Module) -> Step:
        if not hasattr(layer, "step"):
            raise NoStep(f"{type(layer).__name__} has no 'step'")
        return layer.step(self.batch, self.width, self.context)


def generate(
    model: network.Network,
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
        num_threads: of torch during the walk; None: see `threads.sensible`.
        steps_only: refuse a network that cannot be advanced position by position. Who decodes must
            compute what who encoded did, and whole passes differ from steps by rounding.

    Raises:
        NoStep: `steps_only`, and the network can only be evaluated on whole images.
    """
    images = network.blank(model, n)
    try:
        with threads.limited(num_threads or threads.sensible(model, n)):
            return _walk(Stepper(model, n, context), images, source, on_row)
    except NoStep as reason:
        if steps_only:
            raise
        log.warning("generating by whole forward passes, which is slow: %s", reason)
        return reference.generate(model, n, source, context=context, on_row=on_row)


@torch.inference_mode()
def _walk(stepper: Stepper, images: Tensor, source: Source, on_row: OnRow | None) -> Tensor:
    model = stepper.network
    colors, height, width = model.image_shape
    groups = masks.group_slices(colors, model.color_groups)
    size = model.likelihood.parameters_per_pixel(colors)
    shares = masks.group_slices(size, model.color_groups)
    pixels = model.scale(images[:, groups[-1], 0, 0]).zero_()
    parameters = pixels.new_zeros(len(images), size)  # of this pixel, as far as they are known
    for row in range(height):
        for column in range(width):
            for members, share, group in zip(groups, shares, itertools.count()):
                parameters[:, share] = stepper(pixels, column, group)
                for color in range(members.start, members.stop):
                    earlier = images[:, :color, row, column]
                    log_probs = model.likelihood.level_log_probs(parameters, earlier, color)
                    symbols = source(log_probs, Position(row, column, color))
                    images[:, color, row, column] = symbols
                pixels = model.scale(images[:, members, row, column])
        if on_row:
            on_row(images, row)
    return images
