"""What a network can see from one position, and what its weights use of it (figure 4)."""

from typing import TYPE_CHECKING

from pixelrnn.arguments import Positive, Split
from pixelrnn.cli.figure_keys import Index, OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def receptive_field(
    of: OfRun,
    *,
    row: Index | None = None,
    column: Index | None = None,
    color: Index = 0,
    split: Split = "test",
    n: Positive = 16,
) -> "Figure":
    """Draw what the distribution of one sub-pixel can see, and how strongly it uses it.

    What it can see is measured by gradients with random weights: it is that of the architecture.
    What it uses is the mean of |d log p / d level| over images, with the trained weights.

    Args:
        of: the keys of a figure of one run.
        row: of the pixel, from 0; null: the middle.
        column: of the pixel, from 0; null: the middle.
        color: of the sub-pixel, from 0.
        split: where the images come from over which the use is averaged.
        n: number of these images, the first ones.

    Raises:
        ConfigError: the place is outside the images, the split has fewer images, or the model is
            no network.
    """
    from pixelrnn.errors import ConfigError
    from pixelrnn.figures import reach, receptive_field

    model = of.model
    if not isinstance(model, reach.NETWORKS):
        raise ConfigError(
            f"{of.run}: receptive fields are measured of networks, and its model is a "
            f"{type(model).__name__}"
        )
    colors, height, width = model.image_shape
    place = (height // 2 if row is None else row, width // 2 if column is None else column, color)
    for key, value, size in zip(
        ("row", "column", "color"), place, (height, width, colors), strict=True
    ):
        if value >= size:
            raise ConfigError(f"{key}={value}: must be below {size}, the size of the images")
    images, labels = of.images(split, 0, n)
    name = f"{of.name} ({type(model).__name__})"
    return receptive_field.figure(model, place, images, labels, name=name, style=of.style)
