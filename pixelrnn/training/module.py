"""The LightningModule for any model: maximum likelihood, and the likelihood of a split.

Axes: `B` batch, `C` colours, `H W` image.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import LRSchedulerConfigType, OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pixelrnn.arguments import Count, Seed
from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.batches import examples
from pixelrnn.errors import TrainingError
from pixelrnn.layers import dropout
from pixelrnn.likelihood.units import bits_per_dim, nats_to_bits_per_dim
from pixelrnn.models.base import ImageDistribution
from pixelrnn.training import evaluation_batch, process, steps
from pixelrnn.training.bad_steps import BadSteps
from pixelrnn.training.in_parts import InParts
from pixelrnn.training.metrics import NegativeLogLikelihood

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer, int | None], LRScheduler]

PAPERS_OPTIMIZER: OptimizerFactory = partial(torch.optim.RMSprop, lr=5e-4, alpha=0.95, eps=1e-8)
"""RMSProp, as in section 5.2 of the paper, which states no constants."""


class PixelModule(LightningModule):
    """Trains a model by its exact likelihood. Contains no architecture.

    A batch is images alone, or images and labels (`data.batches.examples`); only a
    class-conditional model sees the labels.

    Metrics: `train/...` per step, `val/...` and `test/...` over a whole split, each as
    `nll` (nats per image) and `bits_per_dim`, with `_stderr` where it is an exact pass.

    A step whose loss or gradient is not finite is not taken: training ends with an error, or the
    step is skipped. On a CPU every step is looked at, elsewhere every 50th and every one that is
    logged, as a look waits for the device; or every one if steps may be skipped.

    Args:
        model: what to train.
        optimizer: makes an optimiser from parameters.
        scheduler: makes a schedule from the optimiser and the number of optimiser steps, None if
            training is endless; without one the learning rate is constant.
        on_out_of_memory: "halve": a batch for which the memory does not suffice is computed in two
            parts, then in four, and so on; the gradient is that of the whole batch, up to rounding,
            and a copy of it is held besides. "stop": the error is raised.
        seed: of the masks of dropout, which are a function of it, the step, the batch within the
            step and the process.
        skip_bad_steps: how many steps whose loss or gradient is not finite are skipped in the whole
            training; the next one ends it.
    """

    def __init__(
        self,
        model: ImageDistribution,
        optimizer: OptimizerFactory = PAPERS_OPTIMIZER,
        scheduler: SchedulerFactory | None = None,
        on_out_of_memory: Literal["stop", "halve"] = "stop",
        seed: Seed = 0,
        skip_bad_steps: Count = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.in_parts = InParts() if on_out_of_memory == "halve" else None
        self.seed = seed
        self.bad_steps = BadSteps(skip_bad_steps)
        self._dropouts = dropout.layers_of(model)
        self.evaluation = NegativeLogLikelihood()
        self.split = "test"
        self.seconds_before = 0.0
        self._started = time.monotonic()
        self._norm: Tensor | None = None  # of the gradient at the last step that was looked at

    def setup(self, stage: str) -> None:
        """Settle how many images are evaluated together, before Lightning makes the loaders."""
        evaluation_batch.settle(getattr(self.trainer, "datamodule", None), self.model, self.trainer)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """Mean bits/dim of a batch: images of uint8 (B, C, H, W) -> ()."""
        log_prob = self._differentiable(batch, batch_index)
        loss, nll = self._batch_means(log_prob)
        mean = nats_to_bits_per_dim(nll, self.model.image_shape)
        if self._looks():
            self.bad_steps.look(batch_index, mean, log_prob)
        count = max(1, len(log_prob))  # of several processes, one may have no image of a batch
        self.log("train/bits_per_dim", mean, prog_bar=True, batch_size=count)
        self.log("train/nll", nll, batch_size=count)
        return loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Look at the norm of the gradient before it is clipped, and log it.

        Raises:
            TrainingError: it or the loss is not finite, and no more such steps may be skipped.
        """
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        logs = self.trainer.global_step % every == 0
        if not logs and not self._looks():
            return
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        wrong = self.bad_steps.verdict(norm, scaled, self.trainer)
        if wrong is not None:
            self._skip_or_stop(wrong)
        if bool(torch.isfinite(norm)):
            self._norm = norm
        if logs:
            self.log("train/grad_norm", norm)
            if self.bad_steps.skipped:
                self.log("train/skipped_steps", float(self.bad_steps.skipped))

    def validation_step(self, batch: Any, batch_index: int) -> dict[str, Tensor]:
        """Add a batch to the validation likelihood; callbacks may want its `log_prob`, (B,)."""
        return self._evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the validation likelihood."""
        self._log_evaluation("val")

    def test_step(self, batch: Any, batch_index: int) -> dict[str, Tensor]:
        """Add a batch to the likelihood of `self.split`."""
        return self._evaluate(batch)

    def on_test_epoch_end(self) -> None:
        """Log the likelihood of `self.split`."""
        self._log_evaluation(self.split)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser and, if any, a schedule over steps."""
        optimizer = self.optimizer(p for p in self.model.parameters() if p.requires_grad)
        if self.scheduler is None:
            return {"optimizer": optimizer}
        schedule: LRSchedulerConfigType = {
            "scheduler": self.scheduler(optimizer, steps.planned(self.trainer)),
            "interval": "step",
        }
        schedule["name"] = "train/learning_rate"
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the model's description and classes; refuse weights that are not finite."""
        finite = [torch.isfinite(weight).all() for weight in self.model.parameters()]
        if not bool(torch.stack(finite).all()):
            raise TrainingError(self._diverged("a weight is not finite"))
        checkpoint["model"] = self.model.description()
        checkpoint["class_names"] = list(self._class_names())
        if self.in_parts is not None:
            checkpoint["parts_of_a_batch"] = self.in_parts.parts
        evaluation_batch.save(checkpoint, self.trainer)
        checkpoint["skipped_steps"] = self.bad_steps.skipped
        checkpoint["seconds"] = self.seconds_before + time.monotonic() - self._started

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count the seconds of the interrupted run in.

        Raises:
            TrainingError: the labels of the data stood for other classes then.
        """
        now, then = self._class_names(), tuple(checkpoint.get("class_names", ()))
        if now and then and now != then:
            raise TrainingError(
                f"the labels of the data stand for {_shortened(now)}, but in the checkpoint for "
                f"{_shortened(then)}: go on with the data that the training began with"
            )
        self.seconds_before = checkpoint.get("seconds", 0.0)
        evaluation_batch.load(checkpoint, self.trainer)
        self.bad_steps.skipped = int(checkpoint.get("skipped_steps", 0))
        if self.in_parts is not None:  # parts round differently, so a resumed run keeps them
            self.in_parts.parts = int(checkpoint.get("parts_of_a_batch", 1))

    def on_fit_end(self) -> None:
        """Leave a model that draws masks like any other."""
        dropout.end(self._dropouts)

    def on_fit_start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def _differentiable(self, batch: Any, batch_index: int) -> Tensor:
        """(B,) nats of a training batch, in as many parts as the memory demands."""
        numbers = (self.seed, self.global_step, batch_index, self.global_rank)
        parts = itertools.count()

        def log_prob(part: Any) -> Tensor:
            dropout.begin_step(self._dropouts, *numbers, next(parts))
            return self._log_prob(part)

        if self.in_parts is None:
            return log_prob(batch)
        return self.in_parts.log_prob(log_prob, batch, self.model.parameters(), self._tell)

    def _tell(self, parts: int) -> None:
        process.say(
            f"the memory does not suffice for a whole batch at step {self.global_step}: from here "
            f"on each is computed in {parts} parts, with the gradient of the whole"
        )

    def _batch_means(self, log_prob: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of this process, in bits/dim, and the mean nats per image over all processes.

        Several processes share a batch unevenly, and the gradients of their losses are averaged
        with equal weights. So this process's loss is the sum over its images, times the number of
        processes, divided by the number of all images.

        Args:
            log_prob: of the images of this process, (b,) in nats; b may be 0.
        """
        bits = bits_per_dim(log_prob, self.model.image_shape)
        if self.trainer.world_size == 1:
            return bits.mean(), -log_prob.detach().mean()
        nats = -log_prob.detach().double().sum()
        sums = torch.stack([nats, nats.new_tensor(len(log_prob))])
        total, images = self.trainer.strategy.reduce(sums, reduce_op="sum")
        share = self.trainer.world_size / images
        return bits.sum() * share.to(bits.dtype), (total / images).to(bits.dtype)

    def _evaluate(self, batch: Any) -> dict[str, Tensor]:
        log_prob = self._log_prob(batch)
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
                f"{split}/bits_per_dim": nats_to_bits_per_dim(mean, shape),
                f"{split}/bits_per_dim_stderr": nats_to_bits_per_dim(stderr, shape),
            }
        )

    def _log_prob(self, batch: Any) -> Tensor:
        """(B,) nats; labels are left out if the model has no classes.

        What our data modules give was checked when it was loaded.
        """
        images, labels = examples(batch)
        if self.model.classes is None:
            labels = None
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, PixelDataModule) and self.model.classes in (None, data.classes):
            return self.model._log_prob(images, labels)
        return self.model.log_prob(images, labels)

    def _class_names(self) -> tuple[str, ...]:
        """What the labels of a class-conditional model stand for; empty if it is not known."""
        if self.model.classes is None:
            return ()
        data = getattr(self.trainer, "datamodule", None)
        return getattr(data, "class_names", ()) or self.model.class_names

    def _looks(self) -> bool:
        """On an accelerator a look waits for the step to end, so it is taken now and then."""
        every_step = self.device.type == "cpu" or self.bad_steps.allowed > 0
        return every_step or self.global_step % 50 == 0

    def _skip_or_stop(self, wrong: str) -> None:
        bad = self.bad_steps
        if bad.skipped >= bad.allowed:
            raise TrainingError(self._diverged(wrong))
        bad.skip(self.model.parameters())
        count = f"{bad.skipped} of {bad.allowed} such steps"
        process.say(f"step {self.global_step} is skipped: {wrong}; {count}")

    def _diverged(self, what: str) -> str:
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        norm = "unknown" if self._norm is None else f"{self._norm.item():.3g}"
        return (
            f"training diverged: {what} at step {self.global_step} (epoch {self.current_epoch}, "
            f"learning rate {rate:.3g}, norm of the gradient before {norm}). Nothing of this step "
            "was saved, and the same command would come here again: lower optimizer.lr, or set or "
            f"lower trainer.gradient_clip_val; skip_bad_steps={self.bad_steps.skipped + 1} would "
            "go on from the step before, and pass over this one"
        )


def _shortened(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
