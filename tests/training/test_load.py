"""Models come back from the checkpoints of any Trainer, and from nothing that is damaged."""

import copy
import pickle

import pytest
import pytorch_lightning as pl
import torch

import pixelrnn
from pixelrnn.data import Digits
from pixelrnn.errors import RunError
from pixelrnn.likelihood import Categorical
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.ops.conv_lstm.dispatch import Kernel
from pixelrnn.training.module import PixelModule

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning advises on workers and loggers
SMALL = {"hidden": 4, "layers": 1, "head_width": 4}


class OwnModel(PixelCNN):
    """A user's class, whose constructor is not checked by us."""

    def __init__(self, width=3):
        super().__init__((1, 8, 8), 17, hidden=width, layers=1, head_width=4)


MODELS = {
    "PixelCNN": lambda: PixelCNN((1, 8, 8), 17, **SMALL),
    "RowLSTM": lambda: RowLSTM((1, 8, 8), levels=17, kernel=Kernel("reference"), **SMALL),
    "DiagonalBiLSTM": lambda: DiagonalBiLSTM(
        image_shape=(1, 8, 8), levels=17, likelihood=Categorical(17), **SMALL
    ),
    "own": lambda: OwnModel(width=5),
}


def plain_trainer(**more):
    return pl.Trainer(
        accelerator="cpu", max_epochs=1, limit_train_batches=2, limit_val_batches=1, **more
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_plain_trainer_trains_and_its_checkpoint_is_read(name, tmp_path):
    model = MODELS[name]()
    module = PixelModule(model, lambda p: torch.optim.AdamW(p, lr=0.01))
    trainer = plain_trainer()
    trainer.fit(module, Digits())
    trainer.save_checkpoint(tmp_path / "mine.ckpt")
    loaded = pixelrnn.load_model(tmp_path / "mine.ckpt")
    assert type(loaded) is type(model)
    assert not loaded.training
    images = torch.from_numpy(Digits().images("test")[:5].copy())
    assert torch.equal(loaded.log_prob(images), model.eval().log_prob(images))


def saved(path, model, weights=None):
    state = {f"model.{name}": value for name, value in (weights or model.state_dict()).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "model": model.description()}, path)


def test_a_run_folder_means_its_best_checkpoint_and_no_other(tmp_path):
    model = MODELS["PixelCNN"]()
    run = tmp_path / "run"
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    saved(last, model)
    with pytest.raises(RunError, match=r"last\.ckpt holds the newest weights, not the best"):
        pixelrnn.load_model(run)
    best.write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"last\.ckpt holds the newest weights, not the best"):
        pixelrnn.load_model(run)
    assert isinstance(pixelrnn.load_model(last), PixelCNN)


def test_what_has_no_plain_description_is_refused_when_it_is_loaded(tmp_path):
    class Odd(PixelCNN):
        def __init__(self, thing):
            super().__init__((1, 8, 8), 17, **SMALL)

    model = Odd(object())
    assert model.description() is None
    saved(tmp_path / "odd.ckpt", model)
    with pytest.raises(RunError, match="holds no description of its model"):
        pixelrnn.load_model(tmp_path / "odd.ckpt")


def test_a_description_survives_a_copy():
    model = MODELS["RowLSTM"]()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.description() == model.description()
    assert model.description()["kernel"]["name"] == "reference"
