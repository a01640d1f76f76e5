"""A picture of samples; of a class-conditional model, a row for each class."""

import torch
from PIL.Image import Image
from torch import Tensor

from pixelrnn import pictures
from pixelrnn.models.base import ImageDistribution


def sample_grid(model: ImageDistribution, n: int, seed: int) -> Image:
    """Draw about n images and lay them out.

    Args:
        model: draws where it stands.
        n: number of images; of a class-conditional model it is rounded to whole rows, and where
            there are more than n classes the first n are drawn.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    labels, columns = None, None
    if model.classes is not None:
        labels, columns = rows_of_classes(model.classes, n)
        labels = labels.to(next(model.parameters()).device)
    images = model.sample(n if labels is None else len(labels), labels, generator=generator)
    return pictures.grid(images, model.levels, columns)


def rows_of_classes(classes: int, n: int) -> tuple[Tensor, int]:
    """Labels of about n images, a row for each class: int64 (rows * columns,), and the columns."""
    rows = min(classes, n)
    columns = max(1, round(n / rows))
    return torch.arange(rows).repeat_interleave(columns), columns
