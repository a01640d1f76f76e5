"""A step that is not finite is not taken; both checkpoints hold the finite weights before it."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.data.sampler import BatchOrder
from pixelrnn.errors import TrainingError
from pixelrnn.training import checkpoint
from pixelrnn.training.module import PixelModule
from tests.training.runs import STEPS_PER_EPOCH, At, Noisy, fit, resumed, rows, small, state
from tests.training.test_resume import Killed, assert_same_run, kill

pytestmark = pytest.mark.filterwarnings("ignore")
AT = STEPS_PER_EPOCH + 3
NAN = float("nan")


class NoLoss(Noisy):
    """The likelihood of one image of one step is not a number."""

    at = AT

    def _log_prob(self, batch):
        log_prob = super()._log_prob(batch)
        if self.training and self.global_step == self.at:
            log_prob = log_prob * torch.ones(len(log_prob)).index_fill(0, torch.tensor([3]), NAN)
        return log_prob


class NoGradient(Noisy):
    """The loss of one step is finite, its gradient is not."""

    at = AT

    def on_after_backward(self):
        if self.global_step == self.at:
            next(iter(self.model.parameters())).grad.fill_(float("inf"))


TWO_BATCHES = {"accumulate_grad_batches": 2, "batch_size": 128}


def batch_of(step, batches=1, size=256):
    """Indices of the images of an optimiser step."""
    order = BatchOrder(1347, size, seed=5)
    order.set_epoch(step // STEPS_PER_EPOCH)
    first = step % STEPS_PER_EPOCH * batches
    return [int(i) for batch in range(first, first + batches) for i in order.batch(batch)]


@pytest.mark.parametrize(
    ("kind", "what"), [(NoLoss, "the loss is nan"), (NoGradient, "the norm of the gradient is inf")]
)
def test_nothing_of_the_step_is_saved_and_the_message_is_true(tmp_path, kind, what):
    kept = []

    class Weights(pl.Callback):
        def on_train_batch_start(self, trainer, module, *_):
            kept.append({name: w.clone() for name, w in module.state_dict().items()})

    options = {"module_class": kind, "decay": None}
    with pytest.raises(TrainingError) as caught:
        fit(tmp_path, Weights(), **options)
    text = str(caught.value)
    images = batch_of(AT)
    named = images[3] if kind is NoLoss else f"{', '.join(map(str, images[:8]))} and 248 more"
    assert f"{what} (training images {named}) at step {AT} (epoch 1, learning rate 0.0" in text
    assert "lower optimizer.lr" in text
    assert state(tmp_path)["global_step"] == AT
    for name, weight in state(tmp_path)["state_dict"].items():
        assert torch.equal(weight, kept[-1][name])
        assert torch.isfinite(weight).all()
    assert state(tmp_path, "best")["global_step"] == STEPS_PER_EPOCH
    with pytest.raises(TrainingError, match=f"at step {AT} "):
        resumed(tmp_path, **options)  # comes to it again, and is no worse off
    assert state(tmp_path)["global_step"] == AT


@pytest.mark.parametrize(
    ("kind", "at", "options"),
    [
        (NoLoss, AT, {}),
        (NoGradient, AT, TWO_BATCHES),
        pytest.param(
            NoLoss, STEPS_PER_EPOCH, TWO_BATCHES, marks=pytest.mark.slow
        ),  # first of an epoch
        pytest.param(NoGradient, STEPS_PER_EPOCH - 1, {}, marks=pytest.mark.slow),  # the last one
        pytest.param(NoLoss, 0, {}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_skipped_at_once_or_after_a_stop_is_the_same_run(tmp_path, kind, at, options, capfd):
    """The state that the stop left is that before the step, with the generators of that moment."""
    kind = type(kind.__name__, (kind,), {"at": at})

    class Skipping(kind):
        def __init__(self, *arguments):
            super().__init__(*arguments, skip_bad_steps=2)

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit(whole, module_class=Skipping, **options)
    images = batch_of(at, options.get("accumulate_grad_batches", 1), options.get("batch_size", 256))
    named = images[3] if issubclass(kind, NoLoss) else ", ".join(map(str, images[:8]))
    err = capfd.readouterr().err
    assert f"pixelrnn: step {at} is skipped: " in err
    assert f"(training images {named}" in err
    assert "; 1 of 2 such steps" in err
    with pytest.raises(TrainingError, match="skip_bad_steps=1 would go on from the step before"):
        fit(stopped, module_class=kind, **options)
    resumed(stopped, module_class=Skipping, **options)
    assert_same_run(whole, stopped)
    assert state(whole)["skipped_steps"] == 1
    assert "train/skipped_steps" in rows(whole)[0]


def test_no_more_steps_are_skipped_than_were_allowed_also_over_interruptions(tmp_path):
    class Often(NoGradient):
        def __init__(self, *arguments):
            super().__init__(*arguments, skip_bad_steps=2)

        def on_after_backward(self):
            if self.global_step in (2, 4, 7):
                next(iter(self.model.parameters())).grad.fill_(float("nan"))

    options = {"module_class": Often, "minutes": 1e-9}
    with pytest.raises(Killed):
        fit(tmp_path, At("on_train_batch_start", 4, kill), **options)
    with pytest.raises(TrainingError, match=r"at step 7 .*skip_bad_steps=3 would go on"):
        resumed(tmp_path, **options)
    assert state(tmp_path)["skipped_steps"] == 2
    assert state(tmp_path)["global_step"] == 7


def test_a_skipped_step_changes_no_weight_and_no_moment(tmp_path):
    seen = {}

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer, module, *_):
            moments = trainer.optimizers[0].state_dict()["state"]
            seen[trainer.global_step] = [w.clone() for w in module.parameters()] + [
                value.clone() for state in moments.values() for value in state.values()
            ]

    class Skipping(NoLoss):
        def __init__(self, *arguments):
            super().__init__(*arguments, skip_bad_steps=1)

    fit(tmp_path, Look(), module_class=Skipping)
    assert all(torch.equal(*pair) for pair in zip(seen[AT], seen[AT + 1], strict=True))
    assert not all(torch.equal(*pair) for pair in zip(seen[AT - 1], seen[AT], strict=True))


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
