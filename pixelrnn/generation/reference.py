"""The oracle: the whole network, run anew for every sub-pixel. Slow, and right by construction."""

import torch
from torch import Tensor

from pixelrnn.generation.network import Network, OnRow, blank
from pixelrnn.generation.sources import Position, Source
from pixelrnn.layers.apply import Context


@torch.no_grad()
def generate(
    network: Network,
    n: int,
    source: Source,
    *,
    context: Context | None = None,
    on_row: OnRow | None = None,
) -> Tensor:
    """Walk in raster order, asking `source` for each symbol: uint8 (n, C, H, W)."""
    images = blank(network, n)
    colors, height, width = network.image_shape
    for row in range(height):
        for column in range(width):
            for color in range(colors):
                parameters = network(images, context)[row, column]  # (B, P)
                earlier = images[:, :color, row, column]
                log_probs = network.likelihood.level_log_probs(parameters, earlier, color)
                chosen = source(log_probs, Position(row, column, color))
                images[:, color, row, column] = chosen.to(images)
        if on_row:
            on_row(images, row)
    return images
