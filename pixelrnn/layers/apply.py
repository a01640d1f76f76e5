"""How a composition applies its layers: the seam between whole images and single positions.

A network is written once, as a function of `run(layer, x)`. Additions and ReLUs do not care about
spatial extent; every layer with weights or memory is applied through `run`. What the images are
conditioned on does not pass through the composition: it is bound into `run`.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional as F


class Run(Protocol):
    """Applies a layer to whole images, or at a single position."""

    def __call__(self, layer: nn.Module, x: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Apply one layer.

        Args:
            layer: the layer.
            x: (..., F).
            pixels: the network's input, (..., C), for a layer that sees it beside x. At a single
                position it is not known yet; the layer's step is told later (`InputStep.see`).
        """
        ...


@dataclass(frozen=True)
class Context:
    """What a batch of images is conditioned on, computed once per batch.

    Attributes:
        vector: (B, F), one for each image: the embedding of its class.
        map: (B, F, H, W), one for each position: features of a smaller image.
    """

    vector: Tensor | None = None
    map: Tensor | None = None

    def of(self, images: Tensor) -> "Context":
        """Take some of the images: int64, of any length. What is one for all stays so."""

        def chosen(part: Tensor | None) -> Tensor | None:
            return part if part is None or len(part) == 1 else part[images.to(part.device)]

        return Context(chosen(self.vector), chosen(self.map))

    def widened(self) -> "Context":
        """Add a column of zeros at the right of the map: (B, F, H, W + 1)."""
        return Context(self.vector, None if self.map is None else F.pad(self.map, (0, 1)))


@dataclass(frozen=True)
class Whole:
    """Applies layers to whole images: (H, W, B, F) -> (H, W, B, F').

    A layer that can be conditioned has `takes_context = True` and is called as
    `layer(x, context)`; all others are called as `layer(x)`. The pixels, if given, follow x.

    Attributes:
        context: what the images are conditioned on; None: nothing.
    """

    context: Context | None = None

    def __call__(self, layer: nn.Module, x: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Apply one layer."""
        given = (x,) if pixels is None else (x, pixels)
        if getattr(layer, "takes_context", False):
            return layer(*given, self.context)
        return layer(*given)


@dataclass(frozen=True)
class AllBut:
    """Applies all layers but one, which returns its input.

    Attributes:
        left_out: this one.
        run: applies the others.
    """

    left_out: nn.Module
    run: Run

    def __call__(self, layer: nn.Module, x: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Apply one layer."""
        return x if layer is self.left_out else self.run(layer, x, pixels)


def is_whole(run: Run) -> bool:
    """Tell whether layers are applied to whole images."""
    return is_whole(run.run) if isinstance(run, AllBut) else isinstance(run, Whole)


def widened(run: Run) -> Run:
    """Return what applies layers to whole images with a blank column added at the right."""
    if isinstance(run, AllBut):
        return AllBut(run.left_out, widened(run.run))
    assert isinstance(run, Whole)
    return Whole(run.context and run.context.widened())
