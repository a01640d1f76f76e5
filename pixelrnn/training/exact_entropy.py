"""How far a model is from the truth, on data whose distribution is known exactly.

    gap     mean of -log p_model(x) - entropy               its sampling error is that of the NLL
    regret  mean of log p_true(x) - log p_model(x)          estimates the same, KL(true || model),
                                                            with less noise, the less
                                                            the better the model
Both in nats per image. Neither can be negative but for sampling error; a gap that is means that the
model sees what it should predict.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.batches import examples
from pixelrnn.data.synthetic import SyntheticImages
from pixelrnn.models.base import ImageDistribution

log = logging.getLogger(__name__)

_SUSPICIOUS = 5  # standard errors below the entropy


class EntropyGap(Callback):
    """Logs `{split}/gap` and `{split}/regret`, each with `_stderr`.

    Does nothing on data whose distribution is not known, so it may always be there. The
    LightningModule has a `model` with `log_prob`; if its step returns a mapping with a "log_prob"
    of shape (B,), that one is used and nothing is computed twice. If it has a `split`, a test pass
    logs under that name. A batch is what `data.batches.examples` takes.

    Under a class-conditional model the likelihood is that of the images given their classes, and
    the entropy that of the images: the gap may then be negative.

    Args:
        data: whose images are evaluated; None: those of the trainer's data module.
    """

    def __init__(self, data: PixelDataModule | None = None) -> None:
        self.data = data
        self._sums: Tensor | None = None

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with empty sums: a pass counts its own images only."""
        self._sums = None

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with empty sums: a pass counts its own images only."""
        self._sums = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch, images of uint8 (B, C, H, W)."""
        self._add(trainer, pl_module, outputs, batch)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch, images of uint8 (B, C, H, W)."""
        self._add(trainer, pl_module, outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics of the pass."""
        self._log("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics of the pass."""
        self._log(getattr(pl_module, "split", "test"), trainer, pl_module)

    def _truth(self, trainer: Trainer) -> SyntheticImages | None:
        """The set whose distribution is known; None if the data are of another kind."""
        image_set = getattr(self.data or getattr(trainer, "datamodule", None), "image_set", None)
        return image_set if isinstance(image_set, SyntheticImages) else None

    @torch.no_grad()
    def _add(self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any) -> None:
        truth = self._truth(trainer)
        if truth is None:
            return
        images, labels = examples(batch)
        if isinstance(outputs, Mapping) and "log_prob" in outputs:
            log_prob = outputs["log_prob"]
        else:
            model = cast(ImageDistribution, module.model)
            log_prob = model.log_prob(
                images, *([labels] if getattr(model, "classes", None) else [])
            )
        log_prob = log_prob.detach().cpu().double()
        gap = -log_prob - truth.entropy
        regret = truth.exact_log_prob(images).cpu().double() - log_prob
        terms = torch.stack([torch.ones_like(gap), gap, gap**2, regret, regret**2])
        sums = terms.sum(dim=1)
        self._sums = sums if self._sums is None else self._sums + sums

    def _log(self, stage: str, trainer: Trainer, module: LightningModule) -> None:
        if self._truth(trainer) is None:
            return
        # a process that had no image of the pass still takes part in the sum
        sums = self._sums if self._sums is not None else torch.zeros(5, dtype=torch.float64)
        sums = trainer.strategy.reduce(sums.to(module.device), reduce_op="sum")
        count, gap, gap2, regret, regret2 = sums.tolist()
        if count == 0:
            return
        metrics = {}
        for name, total, squares in (("gap", gap, gap2), ("regret", regret, regret2)):
            mean = total / count
            variance = max(squares / count - mean**2, 0.0) * count / max(count - 1, 1)
            metrics[f"{stage}/{name}"] = mean
            metrics[f"{stage}/{name}_stderr"] = math.sqrt(variance / count)
        module.log_dict(metrics, sync_dist=True)
        if metrics[f"{stage}/gap"] < -_SUSPICIOUS * metrics[f"{stage}/gap_stderr"]:
            log.warning(
                "%s/gap=%.3f nats is more than %d standard errors below zero: does the model see "
                "the pixels that it predicts?",
                stage,
                metrics[f"{stage}/gap"],
                _SUSPICIOUS,
            )
