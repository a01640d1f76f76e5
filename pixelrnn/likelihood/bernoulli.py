"""A sigmoid on one logit, for binary images (section 4 and 5.5 of the paper)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.likelihood.base import Likelihood, at_least_float32


class Bernoulli(Likelihood):
    """P(1) = sigmoid(logit)."""

    levels = 2
    num_parameters = 1

    def log_prob(self, parameters: Tensor, symbols: Tensor) -> Tensor:
        """See `Likelihood.log_prob`. P = 1 logit."""
        with torch.autocast(parameters.device.type, enabled=False):
            logit = at_least_float32(parameters).squeeze(-1)
            sign = 2 * symbols.to(logit.dtype) - 1
            return F.logsigmoid(sign * logit)

    def log_probs(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_probs`: (..., 1) -> (..., 2)."""
        logit = at_least_float32(parameters)
        return torch.cat([F.logsigmoid(-logit), F.logsigmoid(logit)], dim=-1)
