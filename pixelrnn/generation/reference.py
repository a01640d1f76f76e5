"""The oracle: the whole network, run anew for every sub-pixel. Slow, and right by construction."""

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

    def parameters(self) -> object:
        """The weights, whose device is where images are made."""
        ...


@torch.no_grad()
def generate(network: Network, n: int, source: Source) -> Tensor:
    """Walk in raster order, asking `source` for each symbol: uint8 (n, C, H, W)."""
    colors, height, width = network.image_shape
    device = next(iter(network.parameters())).device
    images = torch.zeros(n, colors, height, width, dtype=torch.uint8, device=device)
    for row in range(height):
        for column in range(width):
            for color in range(colors):
                parameters = network(images)[row, column, :, color]  # (B, P)
                log_probs = network.likelihood.log_probs(parameters)
                symbols = source(log_probs, Position(row, column, color))
                images[:, color, row, column] = symbols.to(torch.uint8)
    return images
