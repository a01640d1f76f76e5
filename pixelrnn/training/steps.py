"""How many optimiser steps a training has, known before it starts."""

from pytorch_lightning import Trainer


def planned(trainer: Trainer) -> int | None:
    """Optimiser steps of the whole training, or None if neither epochs nor steps are limited.

    `Trainer.estimated_stepping_batches` is not used: it keeps the loader that it makes, which is
    made before the progress of an interrupted run is restored.
    """
    limits = [trainer.max_steps] if trainer.max_steps >= 0 else []
    epochs = trainer.max_epochs
    if epochs is not None and epochs >= 0:
        limits.append(epochs * _steps_per_epoch(trainer))
    return min(limits) if limits else None


def _steps_per_epoch(trainer: Trainer) -> int:
    """The last step of an epoch may have fewer batches than `accumulate_grad_batches`."""
    batches = len(trainer.fit_loop._data_source.dataloader())
    limit = trainer.limit_train_batches
    if isinstance(limit, float):
        batches = int(batches * limit)
    elif limit is not None:
        batches = min(batches, limit)
    return -(-batches // trainer.accumulate_grad_batches)
