"""Learning-rate schedules over the whole training, as factories for `PixelModule`."""

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from pixelrnn.arguments import checked
from pixelrnn.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=0)]


@checked
def cosine(
    warmup_steps: Steps = 0, final_fraction: Fraction = 0.0
) -> Callable[[Optimizer, int | None], LRScheduler]:
    """Linear warm-up, then half a cosine down to `final_fraction` of the learning rate.

    Args:
        warmup_steps: optimiser steps of the warm-up.
        final_fraction: of the learning rate, at the last step.

    Returns:
        A factory of the schedule; it raises `ConfigError` if training is endless.
    """

    def make(optimizer: Optimizer, steps: int | None) -> LRScheduler:
        if steps is None:
            raise ConfigError(
                "scheduler=cosine needs an end: set trainer.max_epochs or trainer.max_steps, or "
                "take scheduler=constant"
            )

        def factor(step: int) -> float:
            if step < warmup_steps:
                return (step + 1) / (warmup_steps + 1)
            progress = min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))
            return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))

        return LambdaLR(optimizer, factor)

    return make


@checked
def constant(warmup_steps: Steps = 0) -> Callable[[Optimizer, int | None], LRScheduler]:
    """Linear warm-up, then the learning rate as it is.

    Args:
        warmup_steps: optimiser steps of the warm-up.
    """

    def make(optimizer: Optimizer, steps: int | None) -> LRScheduler:
        return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (warmup_steps + 1)))

    return make
