"""Completions of images whose part is hidden (figures 1 and 9 of the paper), with their bits.

Axes: `B` images, `D` draws of each.
"""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import scoring, styles
from pixelrnn.models.base import ImageDistribution


def hidden_bits(
    model: ImageDistribution, images: Tensor, known: Tensor, labels: Tensor | None = None
) -> Tensor:
    """Compute the bits/dim of the hidden part of images, given what comes before each sub-pixel.

    Args:
        model: on any device.
        images: uint8 (B, C, H, W).
        known: bool (H, W), False where a pixel is hidden; one is, at least.
        labels: int64 (B,) for a class-conditional model, else None.

    Returns:
        float64 (B,): the mean of -log2 p over the hidden sub-pixels.

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    return scoring.sub_pixel_bits(model, images, labels)[:, :, ~known].flatten(1).mean(1)


def figure(
    model: ImageDistribution,
    images: Tensor,
    drawn: Tensor,
    known: Tensor,
    labels: Tensor | None = None,
    *,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw a row for each image: its known part, the completions, and the image as it is.

    Below each stands what its hidden part costs under the model, in bits/dim.

    Args:
        model: what has drawn.
        images: uint8 (B, C, H, W), the originals.
        drawn: uint8 (B, D, C, H, W), completions of each.
        known: bool (H, W), False where a pixel was hidden.
        labels: int64 (B,) for a class-conditional model, else None.
        name: of the model and the images, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the images or labels are not what the model takes.
    """
    look = styles.STYLES[style]
    count, draws = drawn.shape[:2]
    given = None if labels is None else labels.repeat_interleave(draws)
    of_drawn = hidden_bits(model, drawn.flatten(0, 1), known, given).view(count, draws)
    of_images = hidden_bits(model, images, known, labels)
    size = (0.3 + 1.15 * (draws + 2), 0.9 + 1.4 * count)
    whole, axes = styles.panels(look, count, draws + 2, size)
    for row in range(count):
        shown = [*drawn[row].numpy(), images[row].numpy()]
        bits = torch.cat([of_drawn[row], of_images[row, None]]).tolist()
        first = axes[row, 0]
        styles.show_image(first, look, images[row].numpy(), model.levels, hidden=~known.numpy())
        for ax, image, value in zip(axes[row, 1:], shown, bits, strict=True):
            styles.show_image(ax, look, image, model.levels, f"{value:.2f}")
    for column, text in ((0, "known"), (1, "drawn"), (draws + 1, "original")):
        styles.heading(axes[0, column], look, text)
    head = f"{name}: " if name else ""
    styles.title(whole, look, f"{head}completions, and the bits/dim of their hidden part")
    return whole
