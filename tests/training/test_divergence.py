"""A step that is not finite is not taken; both checkpoints hold the finite weights before it."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.errors import TrainingError
from pixelrnn.training import checkpoint
from pixelrnn.training.module import PixelModule
from tests.training.runs import STEPS_PER_EPOCH, fit, resumed, small, state

pytestmark = pytest.mark.filterwarnings("ignore")
AT = STEPS_PER_EPOCH + 3


class NoLoss(PixelModule):
    """The loss of one step is not a number."""

    def training_step(self, batch, batch_index):
        loss = super().training_step(batch, batch_index)
        if self.global_step == AT:
            loss = loss * float("nan")
            self._check_finite("the loss", loss)
        return loss


class NoGradient(PixelModule):
    """The loss of one step is finite, its gradient is not."""

    def on_after_backward(self):
        if self.global_step == AT:
            next(iter(self.model.parameters())).grad.fill_(float("inf"))


@pytest.mark.parametrize(
    ("kind", "what"), [(NoLoss, "the loss is nan"), (NoGradient, "the norm of the gradient is inf")]
)
def test_nothing_of_the_step_is_saved_and_the_message_is_true(tmp_path, kind, what):
    kept = []

    class Weights(pl.Callback):
        def on_train_batch_start(self, trainer, module, *_):
            kept.append({name: w.clone() for name, w in module.state_dict().items()})

    options = {"module_class": kind, "decay": None, "minutes": 1e-9}
    with pytest.raises(TrainingError) as caught:
        fit(tmp_path, Weights(), **options)
    text = str(caught.value)
    assert f"{what} at step {AT} (epoch 1, learning rate 0.0" in text
    assert "lower optimizer.lr" in text
    assert state(tmp_path)["global_step"] == AT
    for name, weight in state(tmp_path)["state_dict"].items():
        assert torch.equal(weight, kept[-1][name])
        assert torch.isfinite(weight).all()
    assert state(tmp_path, "best")["global_step"] == STEPS_PER_EPOCH
    with pytest.raises(TrainingError, match=f"at step {AT} "):
        resumed(tmp_path, **options)  # comes to it again, and is no worse off
    assert state(tmp_path)["global_step"] == AT


def test_exploded_weights_leave_the_best_sound(tmp_path):
    """At a rate that makes them huge, but finite: best.ckpt is of the best validation."""
    fit(tmp_path, lr=2.0, decay=None)
    for name in ("best", "last"):
        checkpoint.read(tmp_path / "checkpoints" / f"{name}.ckpt")
    header, *rows = (line.split(",") for line in (tmp_path / "metrics.csv").read_text().split())
    column = header.index("val/bits_per_dim")
    scores = [float(row[column]) for row in rows if row[column]]
    best = scores.index(min(scores))
    assert state(tmp_path, "best")["global_step"] == (best + 1) * STEPS_PER_EPOCH


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Poison(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if trainer.global_step == 2:
                next(iter(module.parameters())).data.fill_(float("nan"))

    with pytest.raises(TrainingError, match="a weight is not finite"):
        fit(tmp_path, Poison(), minutes=1e-9)
    assert state(tmp_path)["global_step"] == 1


def test_an_overflow_that_a_gradient_scaler_skips_is_no_error():
    """Half precision runs on no CPU, so the trainer is a stand-in."""
    module = PixelModule(small())
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    plugin = SimpleNamespace(scaler=object())
    module._trainer = SimpleNamespace(
        global_step=1, log_every_n_steps=20, precision_plugin=plugin, current_epoch=0,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
    )  # fmt: skip
    module._fabric = None
    module.on_before_optimizer_step(None)
    plugin.scaler = None
    with pytest.raises(TrainingError):
        module.on_before_optimizer_step(None)
