"""A free softmax over the levels of each sub-pixel (section 2.2 and 5.3 of the paper)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.arguments import Levels, checked
from pixelrnn.likelihood.base import Likelihood, at_least_float32


class Categorical(Likelihood):
    """A softmax with one logit per colour and level: it has no notion of which levels are close.

    The logits of a colour lie side by side: P = C * levels.

    Args:
        levels: number of values a colour of a pixel can take.
    """

    @checked
    def __init__(self, levels: Levels = 256) -> None:
        self.levels = levels

    def parameters_per_pixel(self, colors: int) -> int:
        """Return C * levels: there is one logit per colour and level."""
        return colors * self.levels

    def log_prob(self, parameters: Tensor, pixel: Tensor) -> Tensor:
        """Compute log p in nats: logits (..., C * levels), pixel (..., C) -> (...)."""
        with torch.autocast(parameters.device.type, enabled=False):
            logits = at_least_float32(parameters).reshape(-1, self.levels)
            nats = F.cross_entropy(logits, pixel.reshape(-1).long(), reduction="none")
        return -nats.reshape(pixel.shape).sum(-1)

    def level_log_probs(self, parameters: Tensor, earlier: Tensor, color: int) -> Tensor:
        """Compute log p of every level of one colour: (..., C * levels) -> (..., levels) nats."""
        logits = parameters[..., color * self.levels : (color + 1) * self.levels]
        return F.log_softmax(at_least_float32(logits), dim=-1)
