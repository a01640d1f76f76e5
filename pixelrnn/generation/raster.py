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

from pixelrnn.generation import reference, threads
from pixelrnn.generation.sources import Position, Source
from pixelrnn.layers.apply import Run
from pixelrnn.layers.stepping import Step
from pixelrnn.ops import masks

log = logging.getLogger(__name__)


class Network(reference.Network, Protocol):
    """A network whose composition runs one position at a time."""

    color_groups: int
    """Number of colours that see each other in order; 1 if they do not see each other."""

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """The parameters of the distributions, written once over `run` (see `layers.apply`)."""
        ...

    def scale(self, symbols: Tensor) -> Tensor:
        """Levels -> what the network takes in."""
        ...


class NoStep(Exception):
    """The network can only be evaluated on whole images."""


class Stepper:
    """A network at one position of the raster. It holds all that is remembered of those before.

    Args:
        network: left as it is: memory and prepared weights are in the steps.
        batch: images advanced together, B.

    Raises:
        NoStep: here, or from the first call, for a network that is not written for this.
    """

    def __init__(self, network: Network, batch: int) -> None:
        for name in ("compose", "scale", "color_groups"):
            if not hasattr(network, name):
                raise NoStep(f"{type(network).__name__} has no {name!r}")
        self.network = network
        self.batch = batch
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
        return layer.step(self.batch, self.width)


def generate(
    network: reference.Network,
    n: int,
    source: Source,
    *,
    on_row: reference.OnRow | None = None,
    num_threads: int | None = None,
) -> Tensor:
    """Walk in raster order, asking `source` for each symbol: uint8 (n, C, H, W).

    A network that cannot be advanced position by position is evaluated whole for every sub-pixel,
    as by `reference.generate`, and a warning is logged.

    Args:
        network: makes images of its `image_shape`.
        n: images generated together.
        source: see `sources`.
        on_row: see `reference.OnRow`.
        num_threads: of torch during the walk; None: see `threads.sensible`.
    """
    images = reference.blank(network, n)
    try:
        with threads.limited(num_threads or threads.sensible(network, n)):
            return _walk(Stepper(network, n), images, source, on_row)
    except NoStep as reason:
        log.warning("generating by whole forward passes, which is slow: %s", reason)
        return reference.generate(network, n, source, on_row=on_row)


@torch.inference_mode()
def _walk(
    stepper: Stepper, images: Tensor, source: Source, on_row: reference.OnRow | None
) -> Tensor:
    network = stepper.network
    colors, height, width = network.image_shape
    groups = masks.group_slices(colors, network.color_groups)
    pixels = network.scale(images[:, groups[-1], 0, 0]).zero_()
    for row in range(height):
        for column in range(width):
            for group, members in enumerate(groups):
                in_group = range(members.start, members.stop)
                parameters = stepper(pixels, column, group).unflatten(-1, (len(in_group), -1))
                for index, color in enumerate(in_group):
                    log_probs = network.likelihood.log_probs(parameters[:, index])
                    symbols = source(log_probs, Position(row, column, color))
                    images[:, color, row, column] = symbols
                pixels = network.scale(images[:, members, row, column])
        if on_row:
            on_row(images, row)
    return images
