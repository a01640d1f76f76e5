"""How a composition applies its layers: the seam between whole images and single positions.

A network is written once, as a function of `run(layer, x)`. Additions and ReLUs do not care about
spatial extent; every layer with weights or memory is applied through `run`. What the images are
conditioned on does not pass through the composition: it is bound into `run`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

Run = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Context:
    """What a batch of images is conditioned on, computed once per batch.

    Attributes:
        vector: (B, F), one for each image: the embedding of its class.
        map: (B, F, H, W), one for each position: features of a smaller image.
    """

    vector: Tensor | None = None
    map: Tensor | None = None


@dataclass(frozen=True)
class Whole:
    """Applies layers to whole images: (H, W, B, F) -> (H, W, B, F').

    A layer that can be conditioned has `takes_context = True` and is called as
    `layer(x, context)`; all others are called as `layer(x)`.

    Attributes:
        context: what the images are conditioned on; None: nothing.
    """

    context: Context | None = None

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Apply one layer."""
        if getattr(layer, "takes_context", False):
            return layer(x, self.context)
        return layer(x)
