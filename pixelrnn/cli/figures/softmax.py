"""Distributions of chosen sub-pixels, with the true level (figure 6); also of mixtures."""

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from pixelrnn.arguments import Positive, Split
from pixelrnn.cli.figure_keys import Index, OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _triples(places: list[list[int]]) -> list[list[int]]:
    if not places or any(len(place) != 3 for place in places):
        raise ValueError("must be [[row,column,colour],...]")
    return places


Places = Annotated[list[list[Index]], AfterValidator(_triples)]


def softmax(
    of: OfRun,
    *,
    split: Split = "test",
    image: Index = 0,
    at: Places | None = None,
    n: Positive = 6,
) -> "Figure":
    """Draw the probabilities of all levels of sub-pixels, given those before, and the true level.

    Args:
        of: the keys of a figure of one run.
        split: where the image comes from.
        image: number of the image in the split, from 0.
        at: the sub-pixels, as [[row,column,colour],...], each from 0; null: the first one, and
            others from the surest to the least sure.
        n: how many sub-pixels, where `at` does not name them.

    Raises:
        ConfigError: the split has fewer images, or a sub-pixel is outside the image.
    """
    from pixelrnn.errors import ConfigError
    from pixelrnn.figures import softmax

    images, labels = of.images(split, image, 1, ("image",))
    colors, height, width = images.shape[1:]
    for place in at or []:
        if not all(part < size for part, size in zip(place, (height, width, colors), strict=True)):
            raise ConfigError(
                f"at={place}: a sub-pixel is [row,column,colour] below [{height},{width},{colors}]"
            )
    return softmax.figure(
        of.model,
        images[0],
        None if labels is None else int(labels[0]),
        places=None if at is None else [(row, column, color) for row, column, color in at],
        n=n,
        name=f"{of.name}, {split} image {image}",
        style=of.style,
    )
