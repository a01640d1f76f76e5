"""The labels of images that are compressed: beside them, given as a word, or found by the model."""

import sys
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from pixelrnn.cli import class_labels
from pixelrnn.compression import image_files
from pixelrnn.compression.image_files import Images
from pixelrnn.errors import ConfigError
from pixelrnn.models import classification
from pixelrnn.models.base import ImageDistribution

LIKELIEST = "likeliest"
"""Stands for the class under which an image is most probable."""


def of_files(
    labels: str | None,
    model: ImageDistribution,
    names: list[str],
    images: Images,
    batch_size: int,
) -> Tensor | None:
    """The labels of images that lie in files: int64 (N,), on the CPU; None without classes.

    Args:
        labels: an array .npy, a class for all images, or "likeliest"; None: what lies beside them.
        model: that will see them.
        names: what the user named.
        images: these.
        batch_size: images computed together, if the model has to find the classes.

    Raises:
        ConfigError: labels are missing, superfluous or wrong.
        DataError: there is no such array.
    """
    if labels is None and model.classes is not None:
        beside = image_files.labels_beside(Path(names[0]))
        if not (names[0].endswith(".npy") and beside.is_file()):
            raise ConfigError(
                f"labels: must be given, since the model is conditioned on {model.classes} "
                f"classes: an array .npy, one class for all ({class_labels.choices(model)}), or "
                f"labels={LIKELIEST}"
            )
        labels = str(beside)
    if labels is None or labels.endswith(".npy"):
        given = image_files.labels(labels)
        try:
            model.check_labels(given, images.count)
        except ValueError as error:
            raise ConfigError(f"labels={labels}: {error}") from error
        return given
    if model.classes is None:
        raise ConfigError(f"labels={labels}: the model has no classes; leave labels out")
    if labels == LIKELIEST and LIKELIEST not in model.class_names:
        return _likeliest(model, images, batch_size)
    return torch.full((images.count,), class_labels.number(labels, model))


@torch.no_grad()
def _likeliest(model: ImageDistribution, images: Images, batch_size: int) -> Tensor:
    device = next(model.parameters()).device
    found = [torch.zeros(0, dtype=torch.int64)]
    starts = range(0, images.count, batch_size)
    for start in tqdm(starts, desc="finding classes", leave=False, disable=not sys.stderr.isatty()):
        batch = images.take(slice(start, min(start + batch_size, images.count)))
        found.append(classification.likeliest(model, batch.to(device)).cpu())
    return torch.cat(found)
