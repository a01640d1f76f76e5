"""Which classes a verb means: what the user writes, or what the data of a run say."""

import difflib

import numpy as np
import torch
from torch import Tensor

from pixelrnn.arguments import Split
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.models.base import ImageDistribution

EACH = "each"
"""Stands for all classes, one after the other."""


def chosen(label: str | None, model: ImageDistribution) -> list[int] | None:
    """The classes that `label=...` means; None if the model has none.

    Args:
        label: names or numbers of classes with commas between, a name before a number if a class
            is called like the number of another; or "each".
        model: that is to draw them.

    Raises:
        ConfigError: there is no such class, the model has none, or it has and none is given.
    """
    if model.classes is None:
        if label is not None:
            raise ConfigError(f"label={label}: the model has no classes; leave label out")
        return None
    if label is None:
        raise ConfigError(
            f"label: must be given, since the model is conditioned on {model.classes} classes: "
            f"label={EACH}, or {choices(model)}"
        )
    if label == EACH and EACH not in model.class_names:
        return list(range(model.classes))
    words = [label] if label in model.class_names else label.split(",")
    return [number(word.strip(), model) for word in words]


def of_split(
    model: ImageDistribution, data: PixelDataModule, split: Split, n: int | None = None
) -> Tensor | None:
    """The labels of the first n images of a split: int64 (n,); None if the model has no classes.

    Raises:
        As `check_data`.
    """
    check_data(model, data)
    labels = data.labels(split)
    if model.classes is None or labels is None:
        return None
    return torch.from_numpy(np.array(labels[:n]))


def check_data(model: ImageDistribution, data: PixelDataModule) -> None:
    """Refuse data whose labels are not the classes of the model.

    Raises:
        ConfigError: the data have no labels, or another number of classes.
        RunError: the labels of the data stand for other classes than in training.
    """
    if model.classes is None:
        return
    if model.classes != data.classes:
        found = "no labels" if data.classes is None else f"{data.classes} classes"
        raise ConfigError(
            f"the model is conditioned on {model.classes} classes, but {data.dataset_id} has "
            f"{found}: take the data that it was trained on"
        )
    if model.class_names and model.class_names != data.class_names:
        pairs = zip(model.class_names, data.class_names, strict=True)
        number, (then, now) = next(
            (number, pair) for number, pair in enumerate(pairs) if pair[0] != pair[1]
        )
        raise RunError(
            f"label {number} of {data.dataset_id} stands for {now}, but in training it stood for "
            f"{then}: take the data that the model was trained on"
        )


def number(word: str, model: ImageDistribution) -> int:
    """The class that a word means, by its name or else its number.

    Raises:
        ConfigError: there is no such class.
    """
    if word in model.class_names:
        return model.class_names.index(word)
    if word.isdecimal() and int(word) < (model.classes or 0):
        return int(word)
    names = [name for name in model.class_names if not name.isdecimal()]
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {choices(model)}"
    raise ConfigError(f"label={word}: no such class; {hint}")


def choices(model: ImageDistribution) -> str:
    """The numbers of the classes in words, and their names where they say more."""
    numbers = f"0 to {(model.classes or 0) - 1}"
    names = model.class_names
    if not names or names == tuple(map(str, range(len(names)))):
        return numbers
    return f"{numbers}: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"
