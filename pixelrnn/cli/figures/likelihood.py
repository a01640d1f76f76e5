"""Images sorted by their likelihood: test images, or samples."""

from typing import TYPE_CHECKING, Literal

from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli.figure_keys import OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def likelihood(
    of: OfRun,
    *,
    images: Literal["samples", "train", "val", "test"] = "test",
    n: Positive | None = None,
    show: Positive = 32,
    seed: Seed = 0,
) -> "Figure":
    """Sort images by log p under the model, and show some with their bits/dim and their rank.

    Args:
        of: the keys of a figure of one run.
        images: the model's own samples, or the first images of a split.
        n: number of images that are ranked; null: 64 samples, or the first 256 images of a split.
        show: how many of them are shown, evenly chosen by rank.
        seed: seed of the samples.

    Raises:
        ConfigError: the split has fewer images.
    """
    from pixelrnn.figures import likelihood

    found, labels = (
        of.samples(n or 64, seed) if images == "samples" else of.images(images, 0, n, most=256)
    )
    name = f"{of.name}, {images}"
    return likelihood.figure(of.model, found, labels, show=show, name=name, style=of.style)
