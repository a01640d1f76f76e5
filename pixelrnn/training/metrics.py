"""Negative log-likelihood of a split as a metric: exact over ragged batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class NegativeLogLikelihood(Metric):
    """Mean nats per image and the standard error of that mean.

    Every image weighs the same, whatever the size of its batch; sums are kept in float64.
    """

    full_state_update = False
    higher_is_better = False

    total: Tensor
    squares: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        for name in ("total", "squares"):
            zero = torch.zeros((), dtype=torch.float64)
            self.add_state(name, default=zero, dist_reduce_fx="sum")
        self.add_state("images", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, log_prob: Tensor) -> None:
        """Add images: log-probabilities (b,) in nats."""
        nats = -log_prob.detach().double()
        self.total += nats.sum()
        self.squares += nats.square().sum()
        self.images += nats.numel()

    def compute(self) -> tuple[Tensor, Tensor]:
        """(mean, standard error), nats per image, float64. One image has standard error 0."""
        mean = self.total / self.images
        variance = (self.squares / self.images - mean.square()).clamp(min=0)
        return mean, (variance / (self.images - 1).clamp(min=1)).sqrt()
