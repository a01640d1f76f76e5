"""Samples of each class of a class-conditional model, one row a class."""

from typing import TYPE_CHECKING

from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli.figure_keys import OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def classes(of: OfRun, *, label: str = "each", n: Positive = 10, seed: Seed = 0) -> "Figure":
    """Draw samples of a class-conditional model, one row for each class, with its name.

    Args:
        of: the keys of a figure of one run.
        label: names or numbers of classes with commas between, or "each".
        n: number of samples of each class.
        seed: seed of the samples.

    Raises:
        ConfigError: the model has no classes, or not this one.
    """
    from pixelrnn.cli import class_labels
    from pixelrnn.errors import ConfigError
    from pixelrnn.figures import classes

    if of.model.classes is None:
        raise ConfigError(
            f"{of.run}: its model has no classes; model.classes=data trains one that has"
        )
    chosen = class_labels.chosen(label, of.model) or []
    samples, _ = of.samples(n * len(chosen), seed, [one for one in chosen for _ in range(n)])
    names = of.model.class_names or tuple(map(str, range(of.model.classes)))
    rows = [names[one] for one in chosen]
    return classes.figure(samples, rows, of.model.levels, name=of.name, style=of.style)
