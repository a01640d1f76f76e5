"""Killed and resumed equals uninterrupted, to the last bit, wherever it was killed."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint

from pixelrnn.data import Digits
from pixelrnn.models import PixelCNN
from pixelrnn.training import checkpoint
from pixelrnn.training.checkpoint import AtomicCheckpointIO
from pixelrnn.training.csv_log import MetricsCSV
from pixelrnn.training.module import PixelModule
from pixelrnn.training.schedules import cosine

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning advises on workers and loggers
STEPS_PER_EPOCH = 6


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, no checkpoint is written on the way out."""


class KillAt(pl.Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise Killed


def fit(folder, *, kill_at=None, resume=None, every=None, workers=0, ema=True, accumulate=1):
    torch.manual_seed(0)
    model = PixelCNN((1, 8, 8), 17, hidden=4, layers=1, head_width=4)
    module = PixelModule(model, lambda p: torch.optim.AdamW(p, lr=0.01), cosine(2))
    data = Digits(batch_size=256, num_workers=workers, seed=5)
    save = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor="val/bits_per_dim" if every is None else None,
        save_last=True,
        every_n_train_steps=every,
        enable_version_counter=False,
    )
    callbacks = [save, *([EMAWeightAveraging(decay=0.9, use_buffers=False)] if ema else [])]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        callbacks=[*callbacks, *([KillAt(kill_at)] if kill_at else [])],
        logger=MetricsCSV(folder, flush_logs_every_n_steps=1),
        plugins=[AtomicCheckpointIO()],
        log_every_n_steps=1,
        accumulate_grad_batches=accumulate,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, data, ckpt_path=resume)
    return module


def final(folder):
    content = checkpoint.read(folder / "checkpoints" / "last.ckpt")
    weights = content.get("current_model_state", content["state_dict"])
    averages = content["state_dict"]
    return {**{f"raw {k}": v for k, v in weights.items()}, **averages}


def curves(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()
    return sorted(lines[1:])


@pytest.mark.parametrize(
    ("kill_at", "options"),
    [
        (9, {"every": 4}),  # mid-epoch
        (STEPS_PER_EPOCH + 1, {"every": STEPS_PER_EPOCH}),  # saved at an epoch's last step
        (STEPS_PER_EPOCH + 1, {"every": STEPS_PER_EPOCH - 1}),  # one before
        (2 * STEPS_PER_EPOCH + 2, {"every": STEPS_PER_EPOCH + 1}),  # an epoch's first step
        (2 * STEPS_PER_EPOCH + 3, {}),  # saved after validation, as by default
        (9, {"every": 4, "workers": 2}),
        (2 * STEPS_PER_EPOCH + 3, {"workers": 2}),
        (9, {"every": 4, "ema": False}),
        (5, {"every": 2, "accumulate": 2}),
    ],
    ids=str,
)
def test_resumed_equals_uninterrupted(tmp_path, kill_at, options):
    fit(tmp_path / "whole", **options)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", kill_at=kill_at, **options)
    last = checkpoint.sound_checkpoint(tmp_path / "killed", ("last",))
    fit(tmp_path / "killed", resume=last, **options)
    whole, resumed = final(tmp_path / "whole"), final(tmp_path / "killed")
    assert whole.keys() == resumed.keys()
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name]), name
    assert curves(tmp_path / "whole") == curves(tmp_path / "killed")


def test_nothing_in_a_checkpoint_needs_pickle(tmp_path):
    fit(tmp_path)
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint
    assert unsafe(tmp_path / "checkpoints" / "last.ckpt") == []
