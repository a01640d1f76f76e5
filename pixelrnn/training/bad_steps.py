"""Steps whose loss or gradient is not finite: what is said of them, and how many may be skipped.

The decision is taken when the gradient is complete and before it is used: the weights, their
average and the optimiser's state are still those of the step before.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pixelrnn.data.sampler import BatchOrder
from pixelrnn.training import world

_NAMED = 8
"""A message names so many images of a bad step, and counts the others."""


class BadSteps:
    """What is wrong with the present step, and how many steps were skipped so far.

    Args:
        allowed: how many bad steps are skipped before the next one ends the training.
    """

    def __init__(self, allowed: int = 0) -> None:
        self.allowed = allowed
        self.skipped = 0
        self._wrong: str | None = None
        self._batches: list[tuple[int, Tensor]] = []

    def look(self, batch_index: int, loss: Tensor, log_prob: Tensor) -> None:
        """Note whether the loss of a batch is finite.

        Args:
            batch_index: within the epoch.
            loss: ().
            log_prob: (B,), by which bad images are told from good ones.
        """
        self._batches.append((batch_index, log_prob.detach()))
        if self._wrong is None and not bool(torch.isfinite(loss)):
            self._wrong = f"the loss is {loss.item()}"

    def verdict(self, norm: Tensor, scaled: bool, trainer: Any) -> str | None:
        """Whether the step can be taken; all processes of a run call this together.

        Args:
            norm: (), of the complete gradient.
            scaled: a gradient scaler looks after overflows of half precision, and skips the step by
                itself: they are no errors.
            trainer: Lightning's, which knows the order of the data.

        Returns:
            What is wrong, and with which images; None if nothing is.
        """
        wrong, batches = self._wrong, self._batches
        self._wrong, self._batches = None, []
        if wrong is None and not scaled and not bool(torch.isfinite(norm)):
            wrong = f"the norm of the gradient is {norm.item()}"
        elsewhere = world.united({1} if wrong else set())
        if wrong is None:
            return "the loss of another process is not finite" if elsewhere else None
        return wrong + _named(_bad_images(batches, trainer))

    def skip(self, parameters: Iterable[nn.Parameter]) -> None:
        """Let the optimiser pass over this step: it counts, and changes no weight."""
        self.skipped += 1
        for parameter in parameters:
            parameter.grad = None


def _bad_images(batches: list[tuple[int, Tensor]], trainer: Any) -> list[int]:
    """Indices into the training split: of images without a finite likelihood, or else of all.

    Empty if the loader is none of our data modules'.
    """
    order = getattr(getattr(trainer, "train_dataloader", None), "sampler", None)
    if not isinstance(order, BatchOrder):
        return []
    images = np.concatenate([order.batch(index) for index, _ in batches])
    bad = ~torch.isfinite(torch.cat([log_prob for _, log_prob in batches])).cpu().numpy()
    return [int(image) for image in (images[bad] if bad.any() else images)]


def _named(images: list[int]) -> str:
    if not images:
        return ""
    more = f" and {len(images) - _NAMED} more" if len(images) > _NAMED else ""
    return f" (training images {', '.join(map(str, images[:_NAMED]))}{more})"
