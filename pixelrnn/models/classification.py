"""What a class-conditional model says of images whose class is not known: Bayes' rule.

    log p(x)     = logsumexp over y of (log p(x | y) + log p(y))
    class of x   = argmax over y of    (log p(x | y) + log p(y))

So a conditional and an unconditional model are compared by the same p(x), and a model that ignores
its labels is seen: it classifies by chance.

Axes: `B` batch, `C` colours, `H W` image, `K` classes.
"""

import torch
from torch import Tensor

from pixelrnn.models.base import ImageDistribution


def class_log_probs(model: ImageDistribution, images: Tensor) -> Tensor:
    """Compute log p(x | y) of every class y; as expensive as K calls of `log_prob`.

    Args:
        model: class-conditional.
        images: uint8 (B, C, H, W).

    Returns:
        (B, K) nats.

    Raises:
        ValueError: the model has no classes, or wrong images.
    """
    if model.classes is None:
        raise ValueError("the model has no classes")
    columns = []
    for label in range(model.classes):
        labels = torch.full((len(images),), label, dtype=torch.int64, device=images.device)
        columns.append(model.log_prob(images, labels))
    return torch.stack(columns, dim=1)


def likeliest(model: ImageDistribution, images: Tensor) -> Tensor:
    """Find the class under which each image is most probable: int64 (B,); see `class_log_probs`."""
    return class_log_probs(model, images).argmax(1)


def joint_log_probs(log_probs: Tensor, counts: Tensor) -> Tensor:
    """Add the log-probability of the classes: log p(x, y), (B, K) nats, float64.

    Its `logsumexp(1)` is log p(x), its `argmax(1)` the most probable class.

    Args:
        log_probs: of `class_log_probs`, (B, K).
        counts: how often each class occurs, (K,), any scale; a class that never occurs has
            probability 0.
    """
    shares = counts.double() / counts.double().sum()
    return log_probs.double() + shares.log().to(log_probs.device)
