"""What a training step minimises and logs: the mean over the images of its batch."""

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.data import Digits
from pixelrnn.layers import dropout
from pixelrnn.likelihood.units import bits_per_dim
from pixelrnn.models import GatedPixelCNN
from pixelrnn.training.module import PixelModule
from tests.training.runs import small

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def fit(module, data, *callbacks, **settings):
    """Train one epoch without validation."""
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[*callbacks],
        **settings,
    )
    trainer.fit(module, data)


def test_loss_and_metrics_are_means_of_a_batch_whatever_its_size():
    """The last batch of an epoch is smaller than the others; weights that stay show it."""
    seen = []

    class Steps(pl.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            with torch.no_grad():
                log_prob = module.model.log_prob(batch.images).mean()
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            seen.append((len(batch.images), float(log_prob), outputs["loss"].item(), metrics))

    module = PixelModule(small(), lambda parameters: torch.optim.SGD(parameters, lr=0.0))
    fit(module, Digits(batch_size=900), Steps())
    assert [size for size, *_ in seen] == [900, 447]
    for _, log_prob, loss, metrics in seen:
        bits = bits_per_dim(log_prob, (1, 8, 8))
        assert loss == pytest.approx(bits, rel=1e-5)
        assert metrics["train/bits_per_dim"] == pytest.approx(bits, rel=1e-5)
        assert metrics["train/nll"] == pytest.approx(-log_prob, rel=1e-5)


def test_each_part_of_each_batch_of_a_step_has_masks_of_its_own(monkeypatch):
    """Two batches make a step here, and each is computed in two parts."""
    keys, begin = [], dropout.begin_step

    def noted(layers, *numbers):
        keys.append(numbers)
        begin(layers, *numbers)

    monkeypatch.setattr(dropout, "begin_step", noted)
    model = GatedPixelCNN((1, 8, 8), 17, hidden=2, layers=1, head_width=2, dropout=0.5)
    module = PixelModule(model, on_out_of_memory="halve", seed=5)
    module.in_parts.parts = 2
    fit(module, Digits(), accumulate_grad_batches=2, limit_train_batches=4)
    assert len(keys) == len(set(keys)) == 4 * 2
    assert {key[0] for key in keys} == {5}


def test_the_time_before_an_interruption_counts():
    module, checkpoint = PixelModule(small()), {}
    fit(module, Digits(), limit_train_batches=1)
    module.on_load_checkpoint({"seconds": 1000.0})
    module.on_save_checkpoint(checkpoint)
    assert 1000 < checkpoint["seconds"] < 2000
