"""Samples and their nearest training images: does the model draw what it has learnt by heart?"""

from typing import TYPE_CHECKING

from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli.figure_keys import OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def neighbours(
    of: OfRun,
    *,
    n: Positive = 64,
    k: Positive = 4,
    show: Positive = 6,
    unseen: Positive | None = None,
    seed: Seed = 0,
) -> "Figure":
    """Draw samples beside the training images nearest to them, with their distances.

    The distances of all samples are compared with those of test images, which the model has not
    seen either: samples that are nearer are suspicious. Distances are Euclidean, in levels.

    Args:
        of: the keys of a figure of one run.
        n: number of samples.
        k: nearest training images that are shown beside each sample.
        show: samples that are shown, those with the nearest neighbours.
        unseen: number of test images that are compared; null: the first 256, or all.
        seed: seed of the samples.

    Raises:
        ConfigError: the test split has fewer images, or the symbols have no order.
    """
    from pixelrnn.errors import ConfigError
    from pixelrnn.figures import neighbours

    if not of.model.ordered:
        raise ConfigError(
            f"{of.run}: its symbols are embedded and have no order, so that no distance between "
            "images is defined; other figures, such as surprise, take them"
        )
    images, _ = of.images("test", 0, unseen, ("first", "unseen"), most=256)
    samples, _ = of.samples(n, seed)
    return neighbours.figure(
        samples.numpy(),
        of.data.images("train"),
        images.numpy(),
        of.model.levels,
        k=k,
        show=show,
        name=of.name,
        style=of.style,
    )
