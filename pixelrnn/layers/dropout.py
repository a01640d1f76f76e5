"""Dropout whose masks are a function of a key: of the seed, the step and the layer.

So an interrupted training goes on with the masks that it would have had, a block that is computed
again for its gradient drops the same features, and processes that share a seed have masks of their
own (`begin_step`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Sets features to zero at random, and scales the others by 1 / (1 - rate).

    It acts in training mode and where gradients are taken. Nothing is dropped elsewhere, so that
    images that a model in training mode draws or codes are those of the whole model.

    Args:
        rate: probability of a feature to be dropped, in [0, 1).

    Attributes:
        key: of the next mask, below 2^32; None draws from torch's global generator, anew each time.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.key: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to features of any shape."""
        if not (self.rate and self.training and torch.is_grad_enabled()):
            return x
        if self.key is None:
            return F.dropout(x, self.rate)
        generator = torch.Generator(x.device).manual_seed(self.key)
        kept = torch.empty_like(x, memory_format=torch.contiguous_format, requires_grad=False)
        return x * kept.bernoulli_(1 - self.rate, generator=generator).div_(1 - self.rate)

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate}"


def layers_of(model: nn.Module) -> list[Dropout]:
    """Return the dropout layers of a model that drop anything, in a fixed order."""
    return [module for module in model.modules() if isinstance(module, Dropout) and module.rate]


def begin_step(layers: Sequence[Dropout], *numbers: int) -> None:
    """Give each layer a key of its own for a step of training.

    Args:
        layers: of a model (`layers_of`).
        numbers: not negative; what masks depend on, such as seed, step and process.
    """
    if layers:
        keys = np.random.SeedSequence(numbers).generate_state(len(layers), np.uint32)
        for layer, key in zip(layers, keys.tolist(), strict=True):
            layer.key = key


def end(layers: Sequence[Dropout]) -> None:
    """Forget the keys: masks come from torch's global generator again."""
    for layer in layers:
        layer.key = None
