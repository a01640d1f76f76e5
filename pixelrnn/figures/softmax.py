"""The distributions of chosen sub-pixels (figure 6 of the paper), each with the true level.

They are the probabilities of all levels, so a mixture is drawn like a softmax.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pixelrnn.arguments import StyleName
from pixelrnn.figures import scoring, styles
from pixelrnn.models.base import ImageDistribution

_COLUMNS = 3


@dataclass(frozen=True)
class Outputs:
    """What a model says about one image.

    Attributes:
        image: the image, integers (C, H, W).
        probabilities: of every level of every sub-pixel given those before it, (C, L, H, W).
    """

    image: np.ndarray
    probabilities: np.ndarray

    @property
    def entropies(self) -> np.ndarray:
        """Of every sub-pixel's distribution: (C, H, W) bits."""
        p = self.probabilities
        return -(p * np.log2(np.maximum(p, 1e-300))).sum(1)


def outputs(model: ImageDistribution, image: Tensor, label: int | None = None) -> Outputs:
    """Compute the distributions of all sub-pixels of an image.

    Args:
        model: on any device.
        image: uint8 (C, H, W).
        label: the class for a class-conditional model, else None.

    Raises:
        ValueError: the image or the label is not what the model takes.
    """
    labels = None if label is None else torch.tensor([label])
    ((_, log_probs),) = scoring.tables(model, image[None], labels)
    return Outputs(image.numpy(), log_probs[0].double().exp().numpy())


def chosen(found: Outputs, n: int) -> list[tuple[int, int, int]]:
    """Choose sub-pixels that show what there is: the first one, then from sure to unsure.

    The others stand evenly in the order of their distribution's entropy, from the lowest to the
    highest.

    Args:
        found: from `outputs`.
        n: how many, at most.

    Returns:
        (row, column, colour) of each, no two alike.
    """
    flat = found.entropies.transpose(1, 2, 0).ravel()  # (H, W, C), the order of generation
    others = np.argsort(flat[1:], kind="stable") + 1
    n = min(n, len(flat))
    ranks = np.linspace(len(others) - 1, 0, n - 1)[::-1].round().astype(int)
    places = [0, *others[ranks]]
    colors, _, width = found.image.shape
    return [
        (int(at) // colors // width, int(at) // colors % width, int(at) % colors) for at in places
    ]


def figure(
    model: ImageDistribution,
    image: Tensor,
    label: int | None = None,
    *,
    places: Sequence[tuple[int, int, int]] | None = None,
    n: int = 6,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw the distributions of sub-pixels of an image, and the image with their places.

    Args:
        model: on any device.
        image: uint8 (C, H, W).
        label: the class for a class-conditional model, else None.
        places: (row, column, colour) of the sub-pixels; None: `n` that are `chosen`.
        n: how many are chosen.
        name: of the model and the image, for the title.
        style: the background, "light" or "dark".

    Raises:
        ValueError: the image or the label is not what the model takes, or a place is outside.
    """
    found = outputs(model, image, label)
    places = chosen(found, n) if places is None else places
    colors, height, width = found.image.shape
    for place in places:
        if not all(0 <= at < end for at, end in zip(place, (height, width, colors), strict=True)):
            raise ValueError(f"places must be (row, column, colour) in {image.shape}, got {place}")
    look = styles.STYLES[style]
    columns = 1 + min(_COLUMNS, len(places))
    rows = math.ceil(len(places) / (columns - 1))
    drawn, axes = styles.panels(look, rows, columns, (0.6 + 2.4 * columns, 0.6 + 2.1 * rows))
    _draw_places(axes[0, 0], look, found.image, model.levels, places)
    for index, place in enumerate(places):
        row, column = divmod(index, columns - 1)
        ax = axes[row, 1 + column]
        _draw_distribution(ax, look, found, place, str(index + 1))
        if column == 0:
            ax.set_ylabel("probability")
        if index + columns - 1 >= len(places):
            ax.set_xlabel("level")
    styles.empty(axes.flat)
    head = f"{name}: " if name else ""
    styles.title(drawn, look, f"{head}distributions given the sub-pixels before; true level marked")
    return drawn


def _draw_places(
    ax: Axes, look: styles.Style, image: np.ndarray, levels: int, places: Sequence[tuple[int, ...]]
) -> None:
    styles.show_image(ax, look, image, levels, "the image")
    for number, (row, column, _) in enumerate(places, 1):
        ax.annotate(
            str(number),
            (column, row),
            color="black",
            fontsize=7,
            ha="center",
            va="center",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": look.colors[4], "edgecolor": "black"},
        )


def _draw_distribution(
    ax: Axes, look: styles.Style, found: Outputs, place: tuple[int, int, int], number: str
) -> None:
    """Steps of all levels, and a line at the true one with its probability."""
    row, column, color = place
    p = found.probabilities[color, :, row, column]
    true = int(found.image[color, row, column])
    edges = np.arange(len(p) + 1) - 0.5
    ax.stairs(p, edges, fill=True, color=look.colors[0])
    ax.axvline(true, color=look.colors[1], linestyle="--", linewidth=1.2)
    ax.plot(true, p[true], "o", color=look.colors[1], markersize=4, clip_on=False)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0, 1.12 * float(p.max()))
    styles.gridlines(ax, look, "y")
    colors = len(found.image)
    what = f" {'RGB'[color] if colors == 3 else f'colour {color}'}" if colors > 1 else ""
    styles.heading(
        ax, look, f"{number}: row {row}, column {column}{what}\ntrue {true}: p = {p[true]:.3g}"
    )
