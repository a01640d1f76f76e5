"""One clear line, exit code 2, nothing written."""

import os

import pytest

from pixelrnn.cli.main import main

TRAIN = [
    (["model.hiden=3"], "model.hiden: no such key; did you mean model.hidden"),
    (["model=pixelnn"], "model=pixelnn: no such choice; did you mean model=pixelcnn"),
    (["modle=pixelcnn"], "modle: no such key; did you mean model"),
    (["optimizer.lr=abc"], "optimizer.lr=abc: input should be a valid number"),
    (["model.layers=0"], "model.layers=0: input should be greater than or equal to 1"),
    (["model.hidden=2.5"], "model.hidden=2.5"),
    (["model.first_kernel_size=4"], "must be odd"),
    (["model.levels=2"], "model.levels=2 but the data have 17"),
    (["model.image_shape=[1,9,9]"], "model.image_shape=[1, 9, 9] but the data are [1, 8, 8]"),
    (["model.residual=maybe"], "model.residual=maybe: input should be a valid boolean"),
    (["data.batch_size=-1"], "data.batch_size=-1"),
    (["data=patches", "data.size=12"], "data.size=12: input should be 8, 16, 32 or 64"),
    (["+learning_rate=1"], "learning_rate: no such key; choose from"),
    (["+trainer.max_epoch=3"], "did you mean trainer.max_epochs"),
    (["trainer.max_epochs=2.5"], "trainer.max_epochs=2.5"),
    (["trainer.precision=17"], "trainer.precision=17"),
    (["optimizer.lr=-1"], "optimizer: Invalid learning rate: -1"),
    (["likelihood=bernoulli"], "levels"),
    (["data=patches", "likelihood=logistic_mixture"], "set color_conditioning=False"),
    (["seed=-1"], "seed=-1"),
    (["logger=null"], "logger=null: to leave a group out, write ~logger"),
    (["~callbacks"], "callbacks.checkpoints: a run needs its checkpoints"),
    (["signature=abc"], "signature: no such key"),
    (["label=../../evil"], "label=../../evil: names the run's folder"),
    (["sweep=table2", "scale=small"], "sweep=table2: a sweep is several runs, so it needs -m"),
    (["+trainer.overfit_batches=2"], "trainer.overfit_batches: the data bring a sampler"),
    (["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0: input should be"),
    (["trainer.log_every_n_steps=0"], "trainer.log_every_n_steps=0: input should be"),
    (["trainer.accelerator=foo"], "trainer.accelerator=foo: this machine has none; it has"),
    (["model.hidden=${model.hiden}"], "model.hidden"),
    (
        ["data=cifar10", "data.val_size=0"],
        "set callbacks.early_stopping=null",
    ),
    (["model=row_lstm", "kernel.name=fastest"], "kernel.name=fastest"),
    (["model.hidden=["], "model.hidden"),
    (["model._target_=pixelrnn.models.PixelNN"], "model._target_=pixelrnn.models.PixelNN"),
]


def refuse(capfd, argv, says):
    assert main(argv) == 2
    out, err = capfd.readouterr()
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("pixelrnn: ")
    assert says in lines[0]
    assert out == ""
    assert os.listdir() == []


@pytest.mark.parametrize(("words", "says"), TRAIN, ids=lambda value: " ".join(value)[:40])
def test_train_refuses(capfd, words, says):
    refuse(capfd, ["train", *words], says)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["trian"], "trian: no such verb; did you mean train?"),
        (["evaluate"], "run: must be given, as run=..."),
        (["evaluate", "run=runs/nothing"], "runs/nothing: no such run folder"),
        (
            ["evaluate", "run=x", "split=tset"],
            "split=tset: input should be 'train', 'val' or 'test'",
        ),
        (["evaluate", "run=x", "splt=test"], "splt: no such key; did you mean split?"),
        (["sample", "run=runs/nothing"], "runs/nothing: no such run folder"),
        (["sample", "run=x", "n=0"], "n=0: input should be greater than or equal to 1"),
        (["sample", "run=x", "temperature=0"], "temperature=0: input should be greater than 0"),
        (["complete", "run=x", "occlude=top"], "occlude=top"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_other_verbs_refuse(capfd, argv, says):
    refuse(capfd, argv, says)
