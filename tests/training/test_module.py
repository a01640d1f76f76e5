"""What a training step minimises and logs: the mean over the images of its batch."""

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.data import Digits
from pixelrnn.likelihood.units import bits_per_dim
from pixelrnn.training.module import PixelModule
from tests.training.runs import small

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def test_loss_and_metrics_are_means_of_a_batch_whatever_its_size():
    """The last batch of an epoch is smaller than the others; weights that stay show it."""
    seen = []

    class Steps(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            with torch.no_grad():
                log_prob = module.model.log_prob(batch.images).mean()
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            seen.append((len(batch.images), float(log_prob), outputs["loss"].item(), metrics))

    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[Steps()],
    )
    module = PixelModule(small(), lambda parameters: torch.optim.SGD(parameters, lr=0.0))
    trainer.fit(module, Digits(batch_size=900))
    assert [size for size, *_ in seen] == [900, 447]
    for _, log_prob, loss, metrics in seen:
        bits = bits_per_dim(log_prob, (1, 8, 8))
        assert loss == pytest.approx(bits, rel=1e-5)
        assert metrics["train/bits_per_dim"] == pytest.approx(bits, rel=1e-5)
        assert metrics["train/nll"] == pytest.approx(-log_prob, rel=1e-5)
