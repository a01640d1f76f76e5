"""Moving average of the weights, by which a model is validated, drawn from and reported."""

from typing import Annotated, Any

import torch
from pydantic import Field
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from pixelrnn.arguments import checked

Decay = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]


class AveragedWeights(WeightAveraging):
    """Exponential moving average of the weights; validation and the checkpoints use it.

    The decay is warmed up: at update n it is the smaller of `decay` and (1 + n) / (10 + n), so that
    after a few steps little is left of the weights that training began with. Until the first update
    there is no average, and the weights themselves are used.

    A checkpoint holds the average as `state_dict` and the weights as `current_model_state`.

    Args:
        decay: share of the old average in the new one, in the long run.
        start_step: the optimiser step after which the average begins.
    """

    @checked
    def __init__(self, decay: Decay = 0.99, start_step: Count = 0) -> None:
        super().__init__(use_buffers=False, multi_avg_fn=self._update)
        self.decay = decay
        self.start_step = start_step
        self._in_place = False  # the model holds the average, the average holds the weights

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Whether the average takes part in this step (counted from 0)."""
        return step_idx is not None and step_idx >= self.start_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in the place of the weights."""
        if self._has_average():
            self._swap_models(pl_module)
            self._in_place = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the average until all callbacks have seen it; `on_validation_end` swaps back."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights back in their place."""
        if self._in_place:
            self._swap_models(pl_module)
            self._in_place = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the weights until the end of the training is saved; `teardown` puts them away."""

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the average in the model."""
        if stage == "fit" and self._has_average():
            self._copy_average_to_current(pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store average and weights, each under its own key, wherever they are at the moment."""
        raw = checkpoint["state_dict"]
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._in_place:
            checkpoint["current_model_state"] = checkpoint["state_dict"]
            checkpoint["state_dict"] = raw
        elif self._average_model is not None and not self._has_average():
            checkpoint["state_dict"] = raw

    def _has_average(self) -> bool:
        return self._average_model is not None and bool(self._average_model.n_averaged > 0)

    def _update(self, averages: list[Tensor], weights: list[Tensor], updates: Tensor | int) -> None:
        warm = (1 + int(updates)) / (10 + int(updates))
        torch._foreach_lerp_(averages, weights, 1 - min(self.decay, warm))
