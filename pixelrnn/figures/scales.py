"""Samples of a model of several scales, at each scale (figure 8 of the paper)."""

from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import styles
from pixelrnn.models.base import ImageDistribution


def figure(
    model: ImageDistribution,
    images: Tensor,
    *,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw images at all scales of a model, one column an image, the smallest scale on top.

    Args:
        model: of several scales, such as `MultiScale`.
        images: uint8 (B, C, H, W), at least one; samples, or others.
        name: of the model, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the model has one scale only.
    """
    scales = model.scales(images)
    if len(scales) == 1:
        raise ValueError(f"a {type(model).__name__} has one scale only")
    look = styles.STYLES[style]
    side = 1.35
    size = (0.7 + side * len(images), 0.5 + side * len(scales))
    drawn, axes = styles.panels(look, len(scales), len(images), size)
    for row, scale in zip(axes, scales, strict=True):
        for ax, image in zip(row, scale.numpy(), strict=True):
            styles.show_image(ax, look, image, model.levels)
        _, height, width = scale.shape[1:]
        row[0].set_ylabel(f"{height} x {width}")
    head = f"{name}: " if name else ""
    styles.title(drawn, look, f"{head}samples at every scale")
    return drawn
