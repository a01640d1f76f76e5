"""What generation needs to know of a network, and the images that it fills in."""

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor

from pixelrnn import symbols
from pixelrnn.layers.apply import Context, Run
from pixelrnn.likelihood.base import Likelihood


class Network(Protocol):
    """A causal network, as `models.causal.CausalModel` is.

    Without `color_groups`, `input_features`, `compose` and `inputs` it can still be evaluated on
    whole images.
    """

    image_shape: tuple[int, int, int]
    likelihood: Likelihood
    color_groups: int
    """Number of colours that see each other in order; 1 if they do not see each other."""
    input_features: int
    """Number of features of a pixel that `compose` takes."""

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """Compute the parameters of the distributions (see `models.causal.CausalModel.compose`)."""
        ...

    def inputs(self, symbols: Tensor, first_color: int = 0) -> Tensor:
        """Turn symbols (..., C_k) into what the network takes in (see `CausalModel.inputs`)."""
        ...

    def __call__(self, images: Tensor, context: Context | None = None) -> Tensor:
        """Compute the parameters of every pixel: uint8 (B, C, H, W) -> (H, W, B, P)."""
        ...

    def parameters(self) -> Iterable[Tensor]:
        """Return the weights; images are made on their device."""
        ...


class NoStep(Exception):
    """The network can only be evaluated on whole images."""


OnRow = Callable[[Tensor, int], None]
"""A function that is called with the images (n, C, H, W) and the row that is now complete;
rows below it are still 0, or coarse."""


def blank(network: Network, n: int) -> Tensor:
    """Make images to fill in: uint8 (n, C, H, W), on the device of the network's weights.

    Of more than 256 levels they are int32, here and wherever this room says uint8.
    """
    device = next(iter(network.parameters())).device
    dtype = symbols.dtype(network.likelihood.levels)
    return torch.zeros(n, *network.image_shape, dtype=dtype, device=device)
