"""The length of the schedule is the number of steps that Lightning really does."""

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.data import Digits
from pixelrnn.errors import ConfigError
from pixelrnn.training.module import PixelModule
from pixelrnn.training.schedules import cosine
from tests.training.runs import small

pytestmark = pytest.mark.filterwarnings("ignore")


def trainer(**settings):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return pl.Trainer(
        accelerator="cpu",
        limit_val_batches=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **quiet,
        **settings,
    )


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"max_epochs": 2}, 12),
        ({"max_epochs": 2, "limit_train_batches": 0.5}, 6),
        ({"max_epochs": 2, "limit_train_batches": 0.4}, 4),
        ({"max_epochs": 2, "limit_train_batches": 1.0}, 12),
        ({"max_epochs": 2, "limit_train_batches": 4}, 8),
        ({"max_epochs": 2, "limit_train_batches": 100}, 12),
        ({"max_epochs": 2, "max_steps": 1000}, 12),
        ({"max_epochs": 2, "max_steps": 7}, 7),
        ({"max_steps": 7}, 7),
        ({"max_epochs": -1, "max_steps": 7}, 7),
        ({"max_epochs": 2, "accumulate_grad_batches": 4}, 4),
        ({"max_epochs": 2, "accumulate_grad_batches": 4, "limit_train_batches": 0.9}, 4),
        ({"fast_dev_run": 3}, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("with_module", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_schedule_ends_with_the_training(settings, steps, with_module):
    lengths = []

    def schedule(optimizer, length):
        lengths.append(length)
        return cosine(0)(optimizer, length)

    module = PixelModule(small(), lambda p: torch.optim.SGD(p, lr=1e-3), schedule)
    data = Digits(batch_size=256)
    training = trainer(**settings)
    if with_module:
        training.fit(module, data)
    else:
        data.setup()
        training.fit(module, data.train_dataloader())
    assert lengths == [steps]
    assert training.global_step == steps
    assert training.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_endless_training_is_refused_under_cosine():
    module = PixelModule(small(), scheduler=cosine(0))
    with pytest.raises(ConfigError, match="needs an end"):
        trainer(max_epochs=-1).fit(module, Digits(batch_size=256))


def test_without_an_optimizer_it_is_the_papers():
    module = PixelModule(small())
    training = trainer(max_steps=1)
    training.fit(module, Digits(batch_size=256))
    (optimizer,) = training.optimizers
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert optimizer.param_groups[0]["lr"] == 5e-4
