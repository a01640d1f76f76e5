"""Averaged weights: never untrained ones, and each state under its own key."""

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.training import checkpoint
from pixelrnn.training.averaging import AveragedWeights
from tests.training.runs import STEPS_PER_EPOCH, fit, state

pytestmark = pytest.mark.filterwarnings("ignore")


def validation(folder):
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    column = rows[0].index("val/bits_per_dim")
    return [float(row[column]) for row in rows[1:] if row[column]]


def test_a_long_memory_on_a_short_run_reports_no_untrained_model(tmp_path):
    """18 steps with decay 0.9999: without warming up, 99.8 % would be the first weights."""
    fit(tmp_path / "raw", decay=None, lr=0.03)
    fit(tmp_path / "averaged", decay=0.9999, lr=0.03)
    raw, averaged = validation(tmp_path / "raw"), validation(tmp_path / "averaged")
    assert raw[0] - raw[-1] > 0.5  # it has learnt something
    assert averaged[-1] - raw[-1] < 0.1 * (raw[0] - raw[-1])


@pytest.mark.parametrize("start", [1000, STEPS_PER_EPOCH + 2])
def test_before_its_first_update_there_is_no_average(tmp_path, start):
    module = fit(tmp_path / "late", pl.Callback(), decay=None, lr=0.03)
    late = _late(tmp_path, start)
    last = state(tmp_path / "averaged")
    if start == 1000:
        assert validation(tmp_path / "averaged") == validation(tmp_path / "late")
        for name, weight in module.state_dict().items():
            assert torch.equal(weight, late.state_dict()[name])
            assert torch.equal(weight, last["state_dict"][name])
            assert torch.equal(weight, last["current_model_state"][name])
    else:
        assert validation(tmp_path / "averaged")[0] == validation(tmp_path / "late")[0]
        assert validation(tmp_path / "averaged")[2] != validation(tmp_path / "late")[2]


def _late(folder, start):
    averaging = AveragedWeights(decay=0.99, start_step=start)
    return fit(folder / "averaged", averaging, decay=None, lr=0.03)


def test_the_average_begins_with_the_step_that_is_asked_for():
    averaging = AveragedWeights(start_step=2)
    assert [step for step in range(5) if averaging.should_update(step)] == [2, 3, 4]
    assert not averaging.should_update(epoch_idx=7)
    assert AveragedWeights().should_update(0)


def test_the_average_is_the_moving_one_and_stays_in_the_model(tmp_path):
    seen = []

    class Weights(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append({name: w.detach().clone() for name, w in module.named_parameters()})

    left = fit(tmp_path, Weights(), decay=0.5).state_dict()
    average = seen[0]
    for update, weights in enumerate(seen[1:], start=1):
        decay = min(0.5, (1 + update) / (10 + update))
        average = {name: decay * average[name] + (1 - decay) * w for name, w in weights.items()}
    stored = state(tmp_path)["state_dict"]
    for name, weight in average.items():
        torch.testing.assert_close(weight, stored[name])
        assert torch.equal(left[name], stored[name])


def test_a_save_in_a_validation_does_not_swap_them(tmp_path):
    """A state saved while the average is in the model's place has each under its own key."""

    class Saves(pl.Callback):
        def on_validation_batch_end(self, trainer, *_):
            if trainer.current_epoch == 1:
                trainer.save_checkpoint(tmp_path / "during.ckpt")

        def on_train_epoch_end(self, trainer, *_):
            if trainer.current_epoch == 1:
                trainer.save_checkpoint(tmp_path / "after.ckpt")

    fit(tmp_path, Saves())
    during, after = (checkpoint.read(tmp_path / f"{name}.ckpt") for name in ("during", "after"))
    for key in ("state_dict", "current_model_state"):
        for name, weight in after[key].items():
            assert torch.equal(weight, during[key][name])
