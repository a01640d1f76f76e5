"""The oracle: the whole network, run anew for every sub-pixel. Slow, and right by construction."""

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor

from pixelrnn.generation.sources import Position, Source
from pixelrnn.likelihood.base import Likelihood


class Network(Protocol):
    """What generation needs to know of a model."""

    image_shape: tuple[int, int, int]
    likelihood: Likelihood

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) -> (H, W, B, C, P)."""
        ...

    def parameters(self) -> Iterable[Tensor]:
        """The weights, whose device is where images are made."""
        ...


OnRow = Callable[[Tensor, int], None]
"""Called with the images (n, C, H, W) and the row that is now complete; rows below are still 0."""


def blank(network: Network, n: int) -> Tensor:
    """Images to fill in: uint8 (n, C, H, W), where the network's weights are."""
    device = next(iter(network.parameters())).device
    return torch.zeros(n, *network.image_shape, dtype=torch.uint8, device=device)


@torch.no_grad()
def generate(network: Network, n: int, source: Source, *, on_row: OnRow | None = None) -> Tensor:
    """Walk in raster order, asking `source` for each symbol: uint8 (n, C, H, W)."""
    images = blank(network, n)
    colors, height, width = network.image_shape
    for row in range(height):
        for column in range(width):
            for color in range(colors):
                parameters = network(images)[row, column, :, color]  # (B, P)
                log_probs = network.likelihood.log_probs(parameters)
                symbols = source(log_probs, Position(row, column, color))
                images[:, color, row, column] = symbols.to(torch.uint8)
        if on_row:
            on_row(images, row)
    return images
