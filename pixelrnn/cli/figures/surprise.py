"""Maps of the bits that each pixel costs, beside the images."""

from typing import TYPE_CHECKING

from pixelrnn.arguments import Positive, Split
from pixelrnn.cli.figure_keys import Index, OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def surprise(of: OfRun, *, split: Split = "test", first: Index = 0, n: Positive = 6) -> "Figure":
    """Draw images and below each the map of -log2 p of its pixels, given those before them.

    Args:
        of: the keys of a figure of one run.
        split: where the images come from.
        first: number of the first image in the split, from 0.
        n: number of images.

    Raises:
        ConfigError: the split has fewer images.
    """
    from pixelrnn.figures import surprise

    images, labels = of.images(split, first, n)
    name = f"{of.name}, {split} split"
    return surprise.figure(of.model, images, labels, name=name, style=of.style)
