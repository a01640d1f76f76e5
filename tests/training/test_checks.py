"""Settings that would lose or change the result are refused in one line before anything is written.

Each instance trained to the end and then reported a worse state, none, or failed.
"""

import os

import pytest

from pixelrnn.cli.main import main

REFUSED = [
    (["++callbacks.checkpoint.save_top_k=3"], "only callbacks.checkpoints.every_minutes can be"),
    (["++callbacks.checkpoint.monitor=val/foo"], "callbacks.checkpoint={'monitor': 'val/foo'}"),
    (["callbacks.checkpoints.filename=xyz"], "callbacks.checkpoints.filename: no such key"),
    (["~callbacks.checkpoints"], "a run needs its checkpoints"),
    (["callbacks.checkpoints=null"], "a run needs its checkpoints"),
    (["callbacks.checkpoints.folder=elsewhere"], "callbacks.checkpoints.folder=elsewhere"),
    (["callbacks.checkpoints.every_minutes=0"], "callbacks.checkpoints.every_minutes=0"),
    (
        ["callbacks.early_stopping.monitor=val/foo"],
        "callbacks.early_stopping.monitor=val/foo: is not measured; choose from",
    ),
    (
        ["callbacks.early_stopping.monitor=val/bits_per_dims"],
        "did you mean val/bits_per_dim or",
    ),
    (["callbacks.early_stopping.monitor=val/regret"], "val/regret: is not measured"),
    (
        ["+callbacks.mine._target_=pytorch_lightning.callbacks.ModelCheckpoint"],
        "callbacks.mine.dirpath=None",
    ),
    (["trainer.max_epochs=-1"], "scheduler=cosine needs an end"),
    (["+logger.wandb.log_model=true"], "logger.wandb.log_model=True"),
    (["callbacks.ema.decay=1"], "callbacks.ema.decay=1"),
    (["trainer.val_check_interval=99"], "trainer.val_check_interval=99: an epoch has 43 batches"),
    (["trainer.limit_train_batches=0.02"], "is less than one of the 43 batches of an epoch"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED, ids=lambda value: " ".join(value)[:40])
def test_refused_in_one_line(capfd, words, says):
    assert main(["train", *words]) == 2
    out, err = capfd.readouterr()
    (line,) = err.strip().splitlines()
    assert says in line
    assert out == ""
    assert os.listdir() == []


TINY = [
    "train",
    "model=pixelcnn",
    "model.hidden=4",
    "model.layers=1",
    "model.head_width=4",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "logger=csv",
    "callbacks.samples=null",
    "callbacks.summary=null",
    "evaluate=[val]",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "words",
    [
        ["callbacks.early_stopping.monitor=train/nll"],
        ["data=mesh", "callbacks.early_stopping.monitor=val/regret", "data.train_size=64"],
        [
            "+callbacks.mine._target_=pytorch_lightning.callbacks.ModelCheckpoint",
            "+callbacks.mine.dirpath=mine",
        ],
        ["trainer.max_epochs=-1", "trainer.max_steps=2"],
    ],
    ids=str,
)
def test_what_can_work_works(words):
    assert main([*TINY, *words, "folder=run"]) == 0
    assert os.path.isfile("run/checkpoints/best.ckpt")
    assert os.path.isdir("mine") == any("mine" in word for word in words)


def test_a_share_of_too_few_validation_batches_is_one_line(capfd):
    """Their number is known once it is settled how many images are evaluated together."""
    assert main([*TINY, "trainer.limit_val_batches=0.01", "folder=run"]) == 2
    assert (
        "pixelrnn: trainer: You requested to check 0.01 of the val_dataloader"
        in (capfd.readouterr().err.strip().splitlines()[-1])
    )
