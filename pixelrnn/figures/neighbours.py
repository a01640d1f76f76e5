"""The nearest training images of samples: does a model draw what it has learnt by heart?

A sample that lies nearer to a training image than test images do is suspicious. The distance is
the Euclidean one between all sub-pixels, in levels.

Axes: `Q` queries, `N` training images, `D` sub-pixels of an image.
"""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixelrnn.arguments import StyleName
from pixelrnn.figures import styles

_BLOCK = 1 << 24
"""Sub-pixels of training images that are compared at once: 128 MiB in float64."""


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of each query, the nearest first.

    Attributes:
        distances: float64 (Q, k), in levels.
        indices: int64 (Q, k), in the training images.
    """

    distances: np.ndarray
    indices: np.ndarray


def nearest(queries: np.ndarray, training: np.ndarray, k: int = 1) -> Neighbours:
    """Find the k nearest training images of each query, exactly; of equally near ones the first.

    Args:
        queries: integers (Q, C, H, W).
        training: integers (N, C, H, W), an array or a memory map, which is read block by block.
        k: how many; at most N are found.
    """
    count = len(queries)
    asked = queries.reshape(count, training[0].size).astype(np.float64)
    norms = (asked**2).sum(1)[:, None]
    squares = np.zeros((count, 0))
    indices = np.zeros((count, 0), dtype=np.int64)
    size = max(1, _BLOCK // asked.shape[1])
    for start in range(0, len(training), size):
        block = np.asarray(training[start : start + size]).reshape(-1, asked.shape[1])
        block = block.astype(np.float64)
        # sums of products of whole numbers below 2**53: exact, whatever their order
        found = norms - 2 * asked @ block.T + (block**2).sum(1)
        numbers = np.broadcast_to(np.arange(start, start + len(block)), found.shape)
        squares = np.concatenate([squares, found], axis=1)
        indices = np.concatenate([indices, numbers], axis=1)
        kept = np.argsort(squares, axis=1, kind="stable")[:, :k]
        squares = np.take_along_axis(squares, kept, 1)
        indices = np.take_along_axis(indices, kept, 1)
    return Neighbours(np.sqrt(squares), indices)


def figure(
    samples: np.ndarray,
    training: np.ndarray,
    unseen: np.ndarray,
    levels: int,
    *,
    k: int = 4,
    show: int = 6,
    name: str = "",
    style: StyleName = "light",
) -> Figure:
    """Draw the samples that lie nearest to a training image, beside their nearest ones.

    On the right the distances of all samples to their nearest training image are compared with
    those of unseen images, such as those of the test split.

    Args:
        samples: integers (Q, C, H, W), drawn from a model.
        training: integers (N, C, H, W), what the model was trained on.
        unseen: integers (M, C, H, W), other images of the same kind.
        levels: number of values of a sub-pixel.
        k: nearest training images beside each sample.
        show: samples that are shown, those with the nearest neighbours.
        name: of the model and the images, for the title.
        style: the background, "light" or "dark".
    """
    of_samples, of_unseen = nearest(samples, training, k), nearest(unseen, training)
    look = styles.STYLES[style]
    shown = np.argsort(of_samples.distances[:, 0], kind="stable")[:show]
    columns = 1 + of_samples.distances.shape[1]
    left, right = 1.1 * columns, 4.0
    drawn, _ = styles.panels(look, 1, 1, (left + right, 0.9 + 1.35 * max(len(shown), 3)))
    drawn.clear()
    pictures, plot = cast(Any, drawn.subfigures(1, 2, width_ratios=[left, right]))
    axes = pictures.subplots(len(shown), columns, squeeze=False)
    for row, query in zip(axes, shown, strict=True):
        for ax in row:
            styles.dress(ax, look)
        styles.show_image(row[0], look, samples[query], levels)
        near = zip(of_samples.indices[query], of_samples.distances[query], strict=True)
        for ax, (index, distance) in zip(row[1:], near, strict=True):
            styles.show_image(ax, look, training[index], levels, f"{distance:.1f}")
    styles.heading(axes[0, 0], look, "sample")
    styles.heading(axes[0, 1], look, "nearest")
    distances = plot.subplots()
    styles.dress(distances, look)
    _compare(distances, look, of_samples.distances[:, 0], of_unseen.distances[:, 0])
    styles.legend(plot, look, loc="outside lower center")
    head = f"{name}: " if name else ""
    styles.title(drawn, look, f"{head}the training images nearest to samples, and how far they are")
    return drawn


def _compare(ax: Axes, look: styles.Style, samples: np.ndarray, unseen: np.ndarray) -> None:
    """Shares of the distances that lie below, as steps."""
    for values, what, color, line in (
        (samples, "samples", look.colors[1], "-"),
        (unseen, "unseen images", look.colors[0], "--"),
    ):
        text = f"{len(values)} {what}, median {np.median(values):.1f}"
        ax.ecdf(values, label=text, color=color, linestyle=line, linewidth=1.8)
    copies = int((samples == 0).sum())
    styles.heading(ax, look, f"{copies} of {len(samples)} samples are copies")
    ax.set(xlabel="distance to the nearest training image, levels", ylabel="share below")
    ax.set_xlim(left=0)
    styles.gridlines(ax, look)
