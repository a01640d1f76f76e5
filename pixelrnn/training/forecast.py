"""How long a run takes, from what its parts cost and how often they come."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pixelrnn.training.costs import GRID, Costs


@dataclass(frozen=True)
class Schedule:
    """How often the parts of a training come, if nothing ends it early.

    Attributes:
        steps: optimiser steps; None: neither epochs nor steps are limited.
        steps_per_epoch: of them.
        validations: passes over the validation images.
        validation_images: of one pass.
        grids: pictures of samples while training, in units of `GRID` images.
        ends_early: whether a callback may stop it before.
    """

    steps: int | None
    steps_per_epoch: int
    validations: float
    validation_images: int
    grids: float
    ends_early: bool


@dataclass(frozen=True)
class Forecast:
    """Seconds that are still to come, by part.

    Attributes:
        training: optimiser steps.
        validation: passes over validation images, and what the ends of epochs take.
        samples: pictures while training, and at the end.
        evaluation: the exact likelihoods of the record.
        around: building and ending; not the imports, which a process pays once.
    """

    training: float = 0.0
    validation: float = 0.0
    samples: float = 0.0
    evaluation: float = 0.0
    around: float = 0.0

    @property
    def seconds(self) -> float:
        """The whole."""
        return sum(vars(self).values())


def schedule(config: dict[str, Any], costs: Costs) -> Schedule:
    """Count the parts of a run as Lightning's Trainer takes its settings.

    Args:
        config: of the run.
        costs: the numbers of its batches and images.
    """
    trainer = config["trainer"]
    batches = _limited(costs.batches, trainer.get("limit_train_batches"))
    steps_per_epoch = max(1, math.ceil(batches / (trainer.get("accumulate_grad_batches") or 1)))
    limits = []
    if (trainer.get("max_steps") or -1) > 0:
        limits.append(trainer["max_steps"])
    max_epochs = trainer.get("max_epochs")
    if max_epochs is None and not limits and not trainer.get("max_time"):
        max_epochs = 1000  # as Lightning takes it
    if (max_epochs or -1) > 0:
        limits.append(max_epochs * steps_per_epoch)
    steps = min(limits, default=None)
    epochs = (steps or 0) / steps_per_epoch
    images = costs.images.get("val", 0)
    share = trainer.get("limit_val_batches")
    if share is not None:
        size = costs.evaluation_batch
        images = min(images, size * _limited(math.ceil(images / size), share))
    targets = {
        str(node.get("_target_")).rpartition(".")[2]: node
        for node in config["callbacks"].values()
        if node
    }
    pictures = targets.get("SampleGrid", {})
    grids = epochs // pictures.get("every_n_epochs", 10) if pictures and images else 0
    return Schedule(
        steps=steps,
        steps_per_epoch=steps_per_epoch,
        validations=_validations(trainer, epochs, batches) if images else 0,
        validation_images=images,
        grids=grids * max(1.0, pictures.get("n", GRID) / GRID),
        ends_early="EarlyStopping" in targets or bool(trainer.get("max_time")),
    )


def left(plan: Schedule, costs: Costs, splits: Sequence[str], done: int = 0) -> Forecast:
    """What is still to come of a run whose training has done some steps.

    Args:
        plan: of the run.
        costs: of its parts.
        splits: that are to be evaluated.
        done: optimiser steps; where it is all of them, only the evaluation is left.
    """
    steps = max(0, (plan.steps or 0) - done)
    share = steps / plan.steps if plan.steps else 0.0
    images = sum(costs.images.get(split, 0) for split in splits)
    evaluated = images * costs.evaluation / costs.processes
    if not steps:
        return Forecast(evaluation=evaluated)
    validations = share * plan.validations
    return Forecast(
        training=steps * costs.step,
        validation=validations * plan.validation_images * costs.validation / costs.processes
        + share * math.ceil(plan.steps / plan.steps_per_epoch) * costs.epoch_end,  # type: ignore[operator]
        samples=costs.grid * (1 + share * plan.grids),
        evaluation=evaluated,
        around=costs.begin + costs.end,
    )


def makespan(seconds: Sequence[float], at_once: int) -> float:
    """How long jobs take that are begun in order, so many at once.

    Args:
        seconds: of each job.
        at_once: at least 1.
    """
    free = [0.0] * min(at_once, max(1, len(seconds)))
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def _limited(batches: int, limit: float | None) -> int:
    """Lightning's limits: a fraction, or a number of batches."""
    if limit is None:
        return batches
    return int(batches * limit) if isinstance(limit, float) else min(batches, limit)


def _validations(trainer: dict[str, Any], epochs: float, batches: int) -> float:
    """Validations of a training: every so many epochs, or within each of those."""
    every, interval = trainer.get("check_val_every_n_epoch"), trainer.get("val_check_interval")
    if interval is None or (interval == 1.0 and isinstance(interval, float)):
        return epochs / (every or 1)
    if isinstance(interval, float):
        return epochs / (every or 1) * (1 / interval)
    return epochs / (every or 1) * batches / interval
