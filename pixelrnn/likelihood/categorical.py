"""A free softmax over the levels of each sub-pixel (section 2.2 and 5.3 of the paper)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.arguments import Levels, checked
from pixelrnn.likelihood.base import Likelihood, at_least_float32


class Categorical(Likelihood):
    """One logit per level: no ordering of the levels is assumed, every shape can be fitted."""

    @checked
    def __init__(self, levels: Levels = 256) -> None:
        self.levels = levels
        self.num_parameters = levels

    def log_prob(self, parameters: Tensor, symbols: Tensor) -> Tensor:
        """See `Likelihood.log_prob`. P = levels logits."""
        with torch.autocast(parameters.device.type, enabled=False):
            logits = at_least_float32(parameters).reshape(-1, self.levels)
            nats = F.cross_entropy(logits, symbols.reshape(-1).long(), reduction="none")
        return -nats.reshape(symbols.shape)

    def log_probs(self, parameters: Tensor) -> Tensor:
        """See `Likelihood.log_probs`."""
        return F.log_softmax(at_least_float32(parameters), dim=-1)
