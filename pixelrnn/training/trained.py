"""A model that another run has trained, as a part of a new one: stage by stage (section 3.6)."""

from pathlib import Path

from pixelrnn.models.base import ImageDistribution
from pixelrnn.training import load


def trained(run: Path | str, frozen: bool = True) -> ImageDistribution:
    """Load the model of a run, to stand in another model in place of a new one.

    Args:
        run: run folder, checkpoint or weights (`load.load_model`).
        frozen: its weights stay as they are; False: they are trained on.

    Raises:
        RunError: nothing is there, or it is damaged.
    """
    model = load.load_model(run)
    return model.requires_grad_(False) if frozen else model
