"""Tiny trainings that are killed or interrupted at chosen moments, and what they leave."""

import random

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ProgressBar

from pixelrnn.data import Digits
from pixelrnn.models import PixelCNN
from pixelrnn.training import checkpoint
from pixelrnn.training.averaging import AveragedWeights
from pixelrnn.training.checkpoint import AtomicCheckpointIO
from pixelrnn.training.csv_log import MetricsCSV
from pixelrnn.training.module import PixelModule
from pixelrnn.training.saving import RunCheckpoints
from pixelrnn.training.schedules import cosine

STEPS_PER_EPOCH = 6


class At(pl.Callback):
    """Does something at a hook of Lightning's, when it is called for the n-th time."""

    def __init__(self, hook, times, action):
        self.left = times
        self.action = action
        setattr(self, hook, self.called)

    def called(self, trainer, *_):
        self.left -= not trainer.sanity_checking
        if self.left == 0:
            self.left = -1
            self.action()


class Noisy(PixelModule):
    """Draws from the global generators in every step, as dropout would."""

    def training_step(self, batch, batch_index):
        noise = torch.rand(()).item() + np.random.random() + random.random()
        return super().training_step(batch, batch_index) * (1 + noise)


def small(kind=PixelCNN, **settings):
    return kind((1, 8, 8), 17, **{"hidden": 4, "layers": 1, "head_width": 4, **settings})


def fit(
    folder,
    *callbacks,
    resume=None,
    kind=PixelCNN,
    module_class=Noisy,
    decay=0.9,
    workers=0,
    minutes=1e9,
    lr=0.01,
    patience=2,
    batch_size=256,
    **settings,
):
    """Train three epochs of six steps; returns the module."""
    pl.seed_everything(0, verbose=False)
    module = module_class(small(kind), lambda p: torch.optim.AdamW(p, lr=lr), cosine(2))
    saving = RunCheckpoints(folder / "checkpoints", every_minutes=minutes)
    stopping = EarlyStopping("val/bits_per_dim", patience=patience, check_on_train_epoch_end=False)
    averaging = [AveragedWeights(decay)] if decay is not None else []
    trainer = pl.Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 3,
            "log_every_n_steps": 1,
            "limit_val_batches": 2,
            **settings,
        },
        callbacks=[*averaging, stopping, *callbacks, saving],
        logger=MetricsCSV(folder),
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    data = Digits(batch_size=batch_size, eval_batch_size=64, num_workers=workers, seed=5)
    trainer.fit(module, data, ckpt_path=resume)
    return module


def resumed(folder, *callbacks, **options):
    """Go on from last.ckpt, if it is there."""
    found = checkpoint.to_resume(folder)
    assert found is None or found.path.name == "last.ckpt"
    return fit(folder, *callbacks, resume=found and found.path, **options)


def state(folder, name="last"):
    """All that a checkpoint holds but the time that it took."""
    content = checkpoint.read(folder / "checkpoints" / f"{name}.ckpt")
    return {key: value for key, value in content.items() if key != "seconds"}


def rows(folder):
    """metrics.csv, line by line."""
    return (folder / "metrics.csv").read_text().splitlines()
