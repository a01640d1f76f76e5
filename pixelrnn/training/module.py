"""The LightningModule for any model: maximum likelihood, and the likelihood of a split.

Axes: `B` batch, `C` colours, `H W` image.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pixelrnn.errors import TrainingError
from pixelrnn.likelihood.units import bits_per_dim
from pixelrnn.models.base import ImageDistribution
from pixelrnn.training.metrics import NegativeLogLikelihood

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer, int], LRScheduler]


class PixelModule(LightningModule):
    """Trains a model by its exact likelihood. Contains no architecture.

    Metrics: `train/...` per step, `val/...` and `test/...` over a whole split, each as
    `nll` (nats per image) and `bits_per_dim`, with `_stderr` where it is an exact pass.

    Args:
        model: what to train.
        optimizer: makes an optimiser from parameters.
        scheduler: makes a schedule from the optimiser and the number of steps; None: constant.
    """

    def __init__(
        self,
        model: ImageDistribution,
        optimizer: OptimizerFactory | None = None,
        scheduler: SchedulerFactory | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.evaluation = NegativeLogLikelihood()
        self.split = "test"
        self.seconds_before = 0.0
        self._started = time.monotonic()

    def training_step(self, images: Tensor, batch_index: int) -> Tensor:
        """Mean bits/dim of a batch: uint8 (B, C, H, W) -> ()."""
        log_prob = self.model.log_prob(images)
        loss = bits_per_dim(log_prob, self.model.image_shape).mean()
        if self._look_now():
            self._check_finite("loss", loss.detach())
        self.log("train/bits_per_dim", loss.detach(), prog_bar=True, batch_size=len(images))
        self.log("train/nll", -log_prob.detach().mean(), batch_size=len(images))
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Log the gradient norm before clipping."""
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients)
            self._check_finite("gradient norm", norm)
            self.log("train/grad_norm", norm)

    def validation_step(self, images: Tensor, batch_index: int) -> dict[str, Tensor]:
        """Add a batch to the validation likelihood; callbacks may want its `log_prob`, (B,)."""
        return self._evaluate(images)

    def on_validation_epoch_end(self) -> None:
        """Log the validation likelihood."""
        self._log_evaluation("val")

    def test_step(self, images: Tensor, batch_index: int) -> dict[str, Tensor]:
        """Add a batch to the likelihood of `self.split`."""
        return self._evaluate(images)

    def on_test_epoch_end(self) -> None:
        """Log the likelihood of `self.split`."""
        self._log_evaluation(self.split)

    def configure_optimizers(self) -> dict[str, Any]:
        """The optimiser and, if any, a schedule over steps."""
        optimizer = self.optimizer(p for p in self.model.parameters() if p.requires_grad)
        if self.scheduler is None:
            return {"optimizer": optimizer}
        schedule = {"scheduler": self.scheduler(optimizer, self._steps()), "interval": "step"}
        schedule["name"] = "train/learning_rate"
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the model's description; refuse to save weights that are not finite."""
        for name, weight in self.model.named_parameters():
            self._check_finite(f"weight {name}", weight.detach().sum())
        checkpoint["model"] = self.model.description()
        checkpoint["seconds"] = self.seconds_before + time.monotonic() - self._started

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count the seconds of the interrupted run in."""
        self.seconds_before = checkpoint["seconds"]

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def _evaluate(self, images: Tensor) -> dict[str, Tensor]:
        log_prob = self.model.log_prob(images)
        self.evaluation.update(log_prob)
        return {"log_prob": log_prob}

    def _log_evaluation(self, split: str) -> None:
        mean, stderr = self.evaluation.compute()
        shape = self.model.image_shape
        self.evaluation.reset()
        self.log_dict(
            {
                f"{split}/nll": mean,
                f"{split}/nll_stderr": stderr,
                f"{split}/bits_per_dim": bits_per_dim(-mean, shape),
                f"{split}/bits_per_dim_stderr": bits_per_dim(-stderr, shape),
            }
        )

    def _steps(self) -> int:
        """Optimiser steps of the whole training.

        Not `trainer.estimated_stepping_batches`: it makes the loader before the progress of an
        interrupted run is restored.
        """
        trainer = self.trainer
        if trainer.max_steps > 0:
            return trainer.max_steps
        batches = len(trainer.datamodule.train_dataloader())
        if isinstance(trainer.limit_train_batches, int):
            batches = min(batches, trainer.limit_train_batches)
        return trainer.max_epochs * -(-batches // trainer.accumulate_grad_batches)

    def _look_now(self) -> bool:
        """On an accelerator a look waits for the step to end: only now and then, and at saves."""
        return self.device.type == "cpu" or self.global_step % 50 == 0

    def _check_finite(self, what: str, value: Tensor) -> None:
        if not torch.isfinite(value):
            raise TrainingError(
                f"{what} is {value.item()} at step {self.global_step}, epoch {self.current_epoch}; "
                "nothing was saved since the last checkpoint. "
                "Lower optimizer.lr or trainer.gradient_clip_val"
            )
