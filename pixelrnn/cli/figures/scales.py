"""Samples of a Multi-Scale PixelRNN at each of its scales (figure 8)."""

from typing import TYPE_CHECKING

from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli.figure_keys import OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scales(of: OfRun, *, n: Positive = 8, seed: Seed = 0) -> "Figure":
    """Draw samples of a model of several scales, the small image above the large one it lies in.

    Args:
        of: the keys of a figure of one run.
        n: number of samples.
        seed: seed of the samples.

    Raises:
        ConfigError: the model has one scale only.
    """
    import torch

    from pixelrnn.errors import ConfigError
    from pixelrnn.figures import scales

    if len(of.model.scales(torch.zeros(1, *of.model.image_shape))) == 1:
        raise ConfigError(
            f"{of.run}: its model, a {type(of.model).__name__}, has one scale only; "
            "model=multi_scale trains one of two"
        )
    samples, _ = of.samples(n, seed)
    return scales.figure(of.model, samples, name=of.name, style=of.style)
