"""The gap to the entropy and the regret, against direct computation."""

import logging
import math
import warnings

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer

from pixelrnn.data import Digits, Mesh
from pixelrnn.models import PixelCNN
from pixelrnn.training.exact_entropy import EntropyGap
from pixelrnn.training.module import PixelModule
from tests.helpers import randomise


class _True(torch.nn.Module):
    """Knows the true distribution; `bonus` nats better than that is cheating."""

    def __init__(self, data, bonus=0.0):
        super().__init__()
        self.image_shape = data.image_shape
        self.classes = None
        self.data = data
        self.bonus = bonus

    def log_prob(self, images, labels=None):
        return self.data.image_set.exact_log_prob(images) + self.bonus

    _log_prob = log_prob


class _Returns(PixelModule):
    def validation_step(self, batch, batch_index):
        log_prob = self.model.log_prob(batch.images)
        self.evaluation.update(log_prob)
        self.model.log_prob = None  # not to be called again
        return {"log_prob": log_prob}


def _trainer(**settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return Trainer(accelerator="cpu", devices=1, enable_model_summary=False, **quiet, **settings)


def _mesh():
    sizes = {"train_size": 64, "val_size": 300, "test_size": 50}
    return Mesh(height=3, width=3, levels=4, eval_batch_size=64, **sizes)


def _passes(module, data, stage, callback):
    trainer = _trainer(callbacks=[callback], use_distributed_sampler=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        return getattr(trainer, stage)(module, data, verbose=False)[0]


@pytest.mark.parametrize(("stage", "split"), [("validate", "val"), ("test", "test")])
def test_gap_and_regret(stage, split):
    data = _mesh()
    model = PixelCNN(data.image_shape, data.levels, hidden=3, layers=1)
    metrics = _passes(PixelModule(model), data, stage, EntropyGap())
    images = torch.from_numpy(data.images(split))
    with torch.no_grad():
        log_prob = model.log_prob(images).double()
    for name, values in (
        ("gap", -log_prob - data.image_set.entropy),
        ("regret", data.image_set.exact_log_prob(images) - log_prob),
    ):
        assert metrics[f"{split}/{name}"] == pytest.approx(values.mean().item(), rel=1e-5)
        error = values.std() / math.sqrt(len(values))
        assert metrics[f"{split}/{name}_stderr"] == pytest.approx(error.item(), rel=1e-4)
    assert metrics[f"{split}/gap"] == pytest.approx(
        metrics[f"{split}/nll"] - data.image_set.entropy
    )


class _Silent(PixelModule):
    """Its step returns nothing, so that the callback has to ask the model."""

    def validation_step(self, batch, batch_index):
        super().validation_step(batch, batch_index)


@pytest.mark.parametrize("module_class", [PixelModule, _Silent])
def test_a_model_with_classes_is_given_the_labels(module_class):
    data = _mesh()
    labels = np.arange(300) % 3
    data.class_names = data.image_set.class_names = ("a", "b", "c")
    data.image_set.labels = lambda split: labels[: data.image_set.count(split)]
    model = PixelCNN(data.image_shape, data.levels, hidden=3, layers=1, classes=3)
    randomise(model)
    metrics = _passes(module_class(model), data, "validate", EntropyGap())
    images = torch.from_numpy(data.images("val"))
    with torch.no_grad():
        gap = -model.log_prob(images, torch.from_numpy(labels)).double() - data.image_set.entropy
    assert metrics["val/gap"] == pytest.approx(gap.mean().item(), rel=1e-5)


def test_the_truth_has_no_regret_and_cheating_is_noticed(caplog):
    data = _mesh()
    metrics = _passes(PixelModule(_True(data)), data, "validate", EntropyGap())
    assert metrics["val/regret"] == 0
    assert abs(metrics["val/gap"]) < 4 * metrics["val/gap_stderr"]
    assert "does the model see" not in caplog.text
    with caplog.at_level(logging.WARNING):
        _passes(PixelModule(_True(data, bonus=2.0)), data, "validate", EntropyGap())
    assert "does the model see the pixels that it predicts?" in caplog.text


def test_a_step_that_returns_log_prob_is_not_repeated():
    data = Mesh(height=3, width=3, levels=4, train_size=64, val_size=50, eval_batch_size=64)
    metrics = _passes(_Returns(_True(data)), data, "validate", EntropyGap())
    assert metrics["val/regret"] == 0


def test_loaders_without_a_data_module_need_the_data():
    data = _mesh()
    module = PixelModule(_True(data))
    module.split = "val"
    trainer = _trainer(callbacks=[EntropyGap(data)], use_distributed_sampler=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        (metrics,) = trainer.test(module, dataloaders=data.eval_dataloader("val"), verbose=False)
    assert metrics["val/regret"] == 0


def test_other_data_are_left_alone():
    data = Digits(eval_batch_size=64)
    module = PixelModule(PixelCNN(data.image_shape, data.levels, hidden=3, layers=1))
    metrics = _passes(module, data, "validate", EntropyGap())
    assert not [name for name in metrics if "gap" in name or "regret" in name]
