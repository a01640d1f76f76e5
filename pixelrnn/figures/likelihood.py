"""Images sorted by their likelihood: what a model finds ordinary, and what strange."""

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import scoring, styles
from pixelrnn.models.base import ImageDistribution

_COLUMNS = 8


def ranked(
    model: ImageDistribution, images: Tensor, labels: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sort images by their likelihood, the most likely first.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W).
        labels: int64 (B,) for a class-conditional model, else None.

    Returns:
        The bits/dim of the sorted images, float64 (B,) ascending, and which image each is,
        int64 (B,).

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    bits = scoring.sub_pixel_bits(model, images, labels).flatten(1).sum(1)
    return (bits / math.prod(model.image_shape)).sort(stable=True)


def ranks(images: int, shown: int) -> list[int]:
    """Choose which ranks are shown: the first, the last, and others evenly between.

    Args:
        images: how many are ranked.
        shown: how many are shown, at most.
    """
    return torch.linspace(0, images - 1, min(shown, images)).round().long().tolist()


def figure(
    model: ImageDistribution,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    show: int = 32,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw images in the order of their likelihood, each with its bits/dim and its rank.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W), at least one.
        labels: int64 (B,) for a class-conditional model, else None.
        show: how many of them are shown, evenly chosen by rank, the first and the last included.
        name: of the model and the images, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    values, order = ranked(model, images, labels)
    chosen = ranks(len(images), show)
    colors = styles.STYLES[style]
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    size = (0.4 + 1.15 * columns, 0.8 + 1.5 * rows)
    drawn, axes = styles.panels(colors, rows, columns, size)
    for ax, rank in zip(axes.flat, chosen, strict=False):
        image = images[order[rank]].numpy()
        styles.show_image(ax, colors, image, model.levels, f"{values[rank]:.3f}\nrank {rank + 1}")
    styles.empty(axes.flat)
    head = f"{name}: " if name else ""
    styles.title(
        drawn,
        colors,
        f"{head}{len(images)} images by likelihood, the most likely first; bits/dim below each",
    )
    return drawn
