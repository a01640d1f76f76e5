"""Samples of a model as a file: a picture, with a row for each class of a class-conditional model.

Codes are no pictures (`ImageDistribution.pictured`): of them the file is an array.
"""

from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from pixelrnn import atomic, pictures, symbols
from pixelrnn.models.base import ImageDistribution


def write(model: ImageDistribution, n: int, seed: int, path: Path) -> Image | None:
    """Draw about n images and write them.

    Args:
        model: draws where it stands.
        n: number of images; of a class-conditional model it is rounded to whole rows, and where
            there are more than n classes the first n are drawn.
        seed: of the draws.
        path: without ending, to which .png is added, or .npy for codes.

    Returns:
        The picture; None for codes.
    """
    generator = torch.Generator().manual_seed(seed)
    labels, columns = None, None
    if model.classes is not None:
        labels, columns = rows_of_classes(model.classes, n)
        labels = labels.to(next(model.parameters()).device)
    images = model.sample(n if labels is None else len(labels), labels, generator=generator)
    with atomic.replacing(path.with_name(f"{path.name}{_ending(model)}"), "wb") as file:
        if not model.pictured:
            np.save(file, symbols.array(images, model.levels))
            return None
        picture = pictures.grid(images, model.levels, columns)
        picture.save(file, format="png")
        return picture


def rows_of_classes(classes: int, n: int) -> tuple[Tensor, int]:
    """Labels of about n images, a row for each class: int64 (rows * columns,), and the columns."""
    rows = min(classes, n)
    columns = max(1, round(n / rows))
    return torch.arange(rows).repeat_interleave(columns), columns


def _ending(model: ImageDistribution) -> str:
    return ".png" if model.pictured else ".npy"
