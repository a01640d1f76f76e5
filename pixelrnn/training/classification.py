"""How well a class-conditional model knows classes, and its likelihood when they are not given."""

import math
import sys
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pixelrnn.arguments import Split
from pixelrnn.data.base import PixelDataModule
from pixelrnn.likelihood.units import nats_to_bits_per_dim
from pixelrnn.models.base import ImageDistribution
from pixelrnn.models.classification import class_log_probs, joint_log_probs

Prior = Literal["train", "uniform"]
"""p(y): how often each class occurs among the training images, or the same for all."""


@torch.no_grad()
def classify(
    model: ImageDistribution,
    data: PixelDataModule,
    split: Split,
    prior: Prior = "train",
    progress: bool = False,
) -> dict[str, float]:
    """Classify every image of a split by Bayes' rule, and measure p(x) without its label.

    Args:
        model: class-conditional, with the classes of the data; it computes where it stands.
        data: set up.
        split: which images.
        prior: of the classes.
        progress: show how far it has come, on stderr.

    Returns:
        `{split}/accuracy`, the share of images whose class is found;
        `{split}/marginal_nll` (nats per image) and `{split}/marginal_bits_per_dim`, of log p(x) =
        log sum_y p(x | y) p(y), which is what a model without labels is compared with; each with
        `_stderr`.
    """
    device = next(model.parameters()).device
    counts = torch.from_numpy(class_counts(data, prior))
    right, nll = [], []
    hidden = not (progress and sys.stderr.isatty())
    with tqdm(total=len(data.images(split)), unit="image", leave=False, disable=hidden) as bar:
        for images, labels in data.eval_dataloader(split):
            joint = joint_log_probs(class_log_probs(model, images.to(device)), counts).cpu()
            right.append((joint.argmax(1) == labels.cpu()).double())
            nll.append(-joint.logsumexp(1))
            bar.update(len(images))
    found = {"accuracy": _mean(torch.cat(right)), "marginal_nll": _mean(torch.cat(nll))}
    mean, error = found["marginal_nll"]
    shape = model.image_shape
    found["marginal_bits_per_dim"] = (
        nats_to_bits_per_dim(mean, shape),
        nats_to_bits_per_dim(error, shape),
    )
    return {
        f"{split}/{name}{suffix}": value
        for name, pair in found.items()
        for suffix, value in zip(("", "_stderr"), pair, strict=True)
    }


def class_counts(data: PixelDataModule, prior: Prior) -> np.ndarray:
    """How often each class occurs: (K,); all ones if the prior is uniform."""
    classes = len(data.class_names)
    labels = data.labels("train")
    if prior == "uniform" or labels is None:
        return np.ones(classes, np.int64)
    return np.bincount(labels, minlength=classes)


def _mean(values: Tensor) -> tuple[float, float]:
    """Mean and its standard error, 0 for one value."""
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return values.mean().item(), error
