"""A sigmoid on one logit, for binary images (section 4 and 5.5 of the paper)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.likelihood.base import Likelihood, at_least_float32


class Bernoulli(Likelihood):
    """Binary colours: p(1) = sigmoid(logit), with one logit per colour, so that P = C."""

    levels = 2

    def parameters_per_pixel(self, colors: int) -> int:
        """Return C: there is one logit per colour."""
        return colors

    def log_prob(self, parameters: Tensor, pixel: Tensor) -> Tensor:
        """Compute log p in nats: logits (..., C), pixel (..., C) of 0 and 1 -> (...)."""
        with torch.autocast(parameters.device.type, enabled=False):
            logits = at_least_float32(parameters)
            sign = 2 * pixel.to(logits.dtype) - 1
            return F.logsigmoid(sign * logits).sum(-1)

    def level_log_probs(self, parameters: Tensor, earlier: Tensor, color: int) -> Tensor:
        """Compute log p of 0 and of 1 of one colour: logits (..., C) -> (..., 2) nats."""
        logit = at_least_float32(parameters[..., color : color + 1])
        return torch.cat([F.logsigmoid(-logit), F.logsigmoid(logit)], dim=-1)
