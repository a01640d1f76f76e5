"""Surprise maps: where in an image its bits are."""

import math

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import scoring, styles
from pixelrnn.models.base import ImageDistribution

_COLUMNS = 6
"""Images side by side; more go on below."""


def pixel_bits(model: ImageDistribution, images: Tensor, labels: Tensor | None = None) -> Tensor:
    """Compute -log2 p of every pixel, given those before it: the sum over its colours.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W).
        labels: int64 (B,) for a class-conditional model, else None.

    Returns:
        float64 (B, H, W) bits; over an image they sum to its negative log-likelihood.

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    return scoring.sub_pixel_bits(model, images, labels).sum(1)


def figure(
    model: ImageDistribution,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw each image, and below it the map of the bits that each of its pixels costs.

    One scale of colours goes for all maps; it ends where only one pixel in 200 lies above.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W), at least one.
        labels: int64 (B,) for a class-conditional model, else None.
        name: of the model and the images, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    maps = pixel_bits(model, images, labels).numpy()
    colors = styles.STYLES[style]
    columns = min(_COLUMNS, len(images))
    blocks = math.ceil(len(images) / columns)
    size = (1.2 + 1.5 * columns, 0.6 + 3.4 * blocks)
    drawn, axes = styles.panels(colors, 2 * blocks, columns, size)
    top = max(float(np.quantile(maps, 0.995)), 1e-6)
    dims = math.prod(model.image_shape)
    for index, (image, bits) in enumerate(zip(images.numpy(), maps, strict=True)):
        block, column = divmod(index, columns)
        styles.show_image(axes[2 * block, column], colors, image, model.levels)
        below = axes[2 * block + 1, column]
        heat = below.imshow(bits, cmap=styles.HEAT, vmin=0, vmax=top, interpolation="nearest")
        styles.without_ticks(below)
        below.set_xlabel(f"{bits.sum():.0f} bits\n{bits.sum() / dims:.2f} bits/dim")
    styles.empty(axes.flat)
    text = "surprise, bits per pixel"
    styles.scale_bar(drawn, heat, axes.flat, colors, text, extend="max")
    styles.title(drawn, colors, f"Surprise of {name}" if name else "Surprise")
    return drawn
