"""How all figures look: on a light or a dark background, in colours that all people tell apart."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure, SubFigure

from pixelrnn.arguments import StyleName


@dataclass(frozen=True)
class Style:
    """Colours of a figure.

    The colours of lines are those of Okabe and Ito, which colour-blind people tell apart, without
    the ones that vanish on the background.

    Attributes:
        background: of the whole figure.
        ink: of texts, ticks and marks.
        faint: of grids and frames.
        quiet: of areas that mean nothing.
        colors: of lines and areas, in the order in which they are used.
    """

    background: str
    ink: str
    faint: str
    quiet: str
    colors: tuple[str, ...]


STYLES: dict[StyleName, Style] = {
    "light": Style(
        background="#ffffff",
        ink="#1a1a1a",
        faint="#b4b4b4",
        quiet="#e4e4e4",
        colors=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    ),
    "dark": Style(
        background="#14171a",
        ink="#ececec",
        faint="#5b6168",
        quiet="#2a2f35",
        colors=("#56B4E9", "#E69F00", "#00B386", "#CC79A7", "#F0E442", "#E8743B", "#FFFFFF"),
    ),
}

LINES = ("-", "--", ":")
"""What tells lines apart when there are more of them than colours."""

HEAT = "viridis"
"""The colour map of amounts: even steps of lightness, which all people see alike."""

_TITLE, _TEXT, _SMALL = 10, 9, 8
"""Sizes of letters in points."""
_LETTERS_PER_INCH = 11
"""Of a title, wide letters included."""


def panels(
    style: Style, rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, Any]:
    """Make a figure with a grid of empty axes.

    No state of matplotlib is read or changed: the figure may be drawn at any later time.

    Args:
        style: its colours.
        rows: rows of axes, at least 1.
        columns: columns of axes, at least 1.
        size: width and height of the whole in inches.
        options: of `Figure.subplots`.

    Returns:
        The figure, and its axes as an array (rows, columns).
    """
    figure = Figure(figsize=size, layout="constrained", facecolor=style.background)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        dress(ax, style)
    return figure, axes


def dress(ax: Axes, style: Style) -> None:
    """Give axes the colours and letters of a style."""
    ax.set_facecolor(style.background)
    ax.tick_params(colors=style.ink, which="both", labelsize=_SMALL)
    for spine in ax.spines.values():
        spine.set_color(style.faint)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(color=style.ink, fontsize=_TEXT)


def title(figure: Figure, style: Style, text: str) -> None:
    """Put a text above the whole figure, in as many lines as its width needs."""
    lines = [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, max(8, int(figure.get_figwidth() * _LETTERS_PER_INCH)))
    ]
    figure.suptitle("\n".join(lines), color=style.ink, fontsize=_TITLE)


def heading(ax: Axes, style: Style, text: str) -> None:
    """Put a text above axes."""
    ax.set_title(text, color=style.ink, fontsize=_TEXT)


def gridlines(ax: Axes, style: Style, axis: Literal["x", "y", "both"] = "both") -> None:
    """Draw faint lines behind everything at the ticks."""
    ax.grid(axis=axis, color=style.faint, alpha=0.4, linewidth=0.6)
    ax.set_axisbelow(True)


def legend(owner: Axes | Figure | SubFigure, style: Style, **options: Any) -> None:
    """Explain lines and areas, in the colours of the style.

    Args:
        owner: axes or figure whose artists have labels.
        style: the colours.
        options: of `Axes.legend`.
    """
    owner.legend(labelcolor=style.ink, fontsize=_SMALL, frameon=False, **options)


def scale_bar(
    figure: Figure, image: Any, axes: Iterable[Axes], style: Style, text: str, **options: Any
) -> None:
    """Say beside axes what the colours of a map mean, in which unit.

    Args:
        figure: the whole.
        image: what `imshow` returned.
        axes: the axes that share these colours.
        style: its colours.
        text: what the colours mean, with the unit.
        options: of `Figure.colorbar`.
    """
    bar = figure.colorbar(image, ax=list(axes), shrink=0.85, pad=0.02, **options)
    bar.outline.set_edgecolor(style.faint)  # type: ignore[operator]
    bar.ax.tick_params(colors=style.ink, labelsize=_SMALL)
    bar.set_label(text, color=style.ink, fontsize=_TEXT)


def show_image(
    ax: Axes,
    style: Style,
    image: np.ndarray,
    levels: int,
    text: str = "",
    hidden: np.ndarray | None = None,
) -> None:
    """Show one image with sharp pixels, and a text below it; no ticks.

    Args:
        ax: where.
        style: the colours.
        image: integers (C, H, W) below `levels`; of other C than 3, the first colour is shown.
        levels: number of values of a sub-pixel; 0 is black, levels - 1 white.
        text: what stands below.
        hidden: bool (H, W), True where nothing is shown.
    """
    shades = image.astype(np.float64) / (levels - 1)
    picture = shades.transpose(1, 2, 0) if len(image) == 3 else shades[0]
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if hidden is not None:
        veil = np.zeros((*hidden.shape, 4))
        veil[hidden] = to_rgba(style.quiet)
        ax.imshow(veil, interpolation="nearest")
    without_ticks(ax)
    ax.set_xlabel(text)


def without_ticks(ax: Axes) -> None:
    """Leave out the ticks of an axes that shows an image."""
    ax.set_xticks([])
    ax.set_yticks([])


def empty(axes: Iterable[Axes]) -> None:
    """Hide axes that nothing was drawn into."""
    for ax in axes:
        if not ax.has_data():
            ax.set_axis_off()
