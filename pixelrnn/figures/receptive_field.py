"""Receptive fields (figure 4 of the paper): what a network can see from a position, and uses."""

import numpy as np
import torch
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import reach, styles
from pixelrnn.figures.reach import Place
from pixelrnn.models.base import ImageDistribution

_DECADES = 4
"""Of the colours of what is used: what is weaker looks like the weakest."""


def figure(
    model: ImageDistribution,
    place: tuple[int, int, int],
    images: Tensor | None = None,
    labels: Tensor | None = None,
    *,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw what the distribution of one sub-pixel can see, one map for each colour seen.

    With images a second row shows how strongly the trained weights use it (`reach.used`).

    Args:
        model: of `reach.NETWORKS`.
        place: row, column and colour of the sub-pixel.
        images: uint8 (B, C, H, W), over which the second row is a mean; None: no second row.
        labels: int64 (B,) for a class-conditional model, else None.
        name: of the model, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the place is outside the images.
    """
    at = Place(*place)
    shape = model.image_shape
    if not all(0 <= part < size for part, size in zip(at, (*shape[1:], shape[0]), strict=True)):
        raise ValueError(f"place must be (row, column, colour) in images {shape}, got {place}")
    look = styles.STYLES[style]
    colors, height, width = shape
    rows = 1 if images is None else 2
    grid = (rows, colors) if colors > 1 else (1, rows)
    size = (0.8 + 3.1 * grid[1], 1.2 + (0.4 + min(3.6, 3.1 * height / width)) * grid[0])
    drawn, axes = styles.panels(look, *grid, (max(size[0], 6.5), size[1]))
    axes = axes.reshape(rows, colors)
    kinds = classes(model, at)
    for color, ax in enumerate(axes[0]):
        palette = ListedColormap([look.quiet, look.colors[0], look.colors[1]])
        ax.imshow(kinds[color], cmap=palette, vmin=0, vmax=2, interpolation="nearest")
        text = f"{_color_name(color, colors)} it can see" if colors > 1 else "can see"
        styles.heading(ax, look, text)
    if images is not None:
        _draw_used(drawn, axes[1], look, reach.used(model, images, at, labels).numpy())
    for ax in axes.flat:
        ax.add_patch(_frame(at, look))
        ax.set(xlabel="column", ylabel="row")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(6, integer=True))
    _explain(drawn, look, kinds)
    what = f"{_color_name(at.color, colors)} of " if colors > 1 else ""
    head = f"{name}\n" if name else ""
    text = f"what {what}the pixel in row {at.row}, column {at.column} sees"
    styles.title(drawn, look, head + text)
    return drawn


def classes(model: ImageDistribution, place: Place) -> np.ndarray:
    """Sort sub-pixels by what the distribution at a place has to do with them.

    Args:
        model: of `reach.NETWORKS`.
        place: the sub-pixel whose distribution is looked at.

    Returns:
        uint8 (C, H, W): 0 is drawn later (or is the sub-pixel itself), 1 can be seen, 2 comes
        before it and cannot be seen: a blind spot.
    """
    seen, context = reach.visible(model, place), reach.before(model, place)
    return torch.where(seen, 1, torch.where(context, 2, 0)).to(torch.uint8).numpy()


def _draw_used(figure: Figure, axes: np.ndarray, look: styles.Style, strength: np.ndarray) -> None:
    """Maps of the strength on one logarithmic scale; what is not used at all stays empty."""
    top = float(strength.max()) or 1.0
    shown = np.ma.masked_equal(
        np.where(strength > 0, np.maximum(strength, top * 10.0**-_DECADES), 0), 0
    )
    norm = LogNorm(top * 10.0**-_DECADES, top)
    for color, ax in enumerate(axes):
        ax.set_facecolor(look.quiet)
        heat = ax.imshow(shown[color], cmap=styles.HEAT, norm=norm, interpolation="nearest")
        text = f"{_color_name(color, len(axes))} it uses" if len(axes) > 1 else "uses"
        styles.heading(ax, look, text)
    text = "mean |d log p / d level|,\nnats per level"
    styles.scale_bar(figure, heat, axes, look, text, extend="min")


def _frame(place: Place, look: styles.Style) -> Rectangle:
    corner = (place.column - 0.5, place.row - 0.5)
    return Rectangle(corner, 1, 1, fill=False, edgecolor=look.ink, linewidth=1.6)


def _explain(figure: Figure, look: styles.Style, kinds: np.ndarray) -> None:
    """The legend, with the number of sub-pixels of each kind."""
    words = {1: "can be seen", 2: "drawn before, cannot be seen", 0: "drawn later"}
    colors = {1: look.colors[0], 2: look.colors[1], 0: look.quiet}
    patches = [
        Patch(color=colors[kind], label=f"{text} ({int((kinds == kind).sum()) - (kind == 0)})")
        for kind, text in words.items()
    ]
    own = Patch(facecolor="none", edgecolor=look.ink, label="the pixel itself")
    styles.legend(figure, look, handles=[*patches, own], loc="outside lower center", ncols=2)


def _color_name(color: int, colors: int) -> str:
    return "RGB"[color] if colors == 3 else f"colour {color}"
