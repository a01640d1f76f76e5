"""Hidden parts of images drawn anew, with their bits beside the original's (figure 9)."""

from typing import TYPE_CHECKING

from pixelrnn.arguments import Positive, Seed, Split
from pixelrnn.cli.complete import Occlusion
from pixelrnn.cli.figure_keys import Index, OfRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def completions(
    of: OfRun,
    *,
    occlude: Occlusion = "bottom",
    split: Split = "test",
    first: Index = 0,
    n: Positive = 4,
    draws: Positive = 5,
    seed: Seed = 0,
) -> "Figure":
    """Draw images with a part hidden, completions of it, and the images as they are.

    Below each stands what the hidden part costs under the model, in bits/dim. `pixelrnn complete`
    gives the same draws as an array.

    Args:
        of: the keys of a figure of one run.
        occlude: which part is hidden.
        split: where the images come from.
        first: number of the first image in the split, from 0.
        n: number of images.
        draws: completions of each.
        seed: seed of the draws.

    Raises:
        ConfigError: the split has fewer images.
    """
    from pixelrnn.cli.complete import occlusion
    from pixelrnn.figures import completions
    from pixelrnn.generation.sources import for_images

    images, labels = of.images(split, first, n)
    model, known = of.model, occlusion(occlude, *images.shape[2:])
    device = next(model.parameters()).device
    drawn = model.complete(
        images.to(device),
        known.to(device),
        None if labels is None else labels.to(device),
        for_images(seed, n * draws),
        draws=draws,
        progress=of.shows_progress,
    )
    return completions.figure(
        model,
        images,
        drawn.cpu().unflatten(0, (n, draws)),
        known,
        labels,
        name=f"{of.name}, {split} split",
        style=of.style,
    )
