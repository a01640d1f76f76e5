"""Samples of each class of a class-conditional model, one row a class."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import styles


def figure(
    images: Tensor,
    rows: Sequence[str],
    levels: int,
    *,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw a row of images for each class, with its name.

    Args:
        images: uint8 (R * K, C, H, W), K of each class, one class after the other.
        rows: the names of the R classes.
        levels: number of values of a sub-pixel.
        name: of the model, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the images do not divide by the classes.
    """
    if not rows or len(images) % len(rows):
        raise ValueError(f"{len(images)} images are not equally many of {len(rows)} classes")
    look = styles.STYLES[style]
    each = len(images) // len(rows)
    longest = max(map(len, rows))
    size = (0.4 + 0.09 * longest + 0.8 * each, 0.5 + 0.8 * len(rows))
    drawn, axes = styles.panels(look, len(rows), each, size)
    for ax, image in zip(axes.flat, images.numpy(), strict=True):
        styles.show_image(ax, look, image, levels)
    for ax, text in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(text, rotation=0, ha="right", va="center")
    head = f"{name}: " if name else ""
    styles.title(drawn, look, f"{head}samples by class")
    return drawn
