"""Pictures in training are drawn with the averaged weights; the count of parameters is right."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from pixelrnn import pictures
from pixelrnn.training import checkpoint
from pixelrnn.training.callbacks import ParameterCount, SampleGrid, parameter_table
from tests.training.runs import fit, small, state

pytestmark = pytest.mark.filterwarnings("ignore")


def drawn(weights, n, seed):
    model = small()
    model.load_state_dict({name.removeprefix("model."): w for name, w in weights.items()})
    return pictures.grid(model.sample(n, generator=torch.Generator().manual_seed(seed)), 17)


@pytest.mark.parametrize("first", [True, False])
def test_pictures_are_of_the_averaged_weights(tmp_path, first):
    """Whatever the order of the callbacks."""
    grid = SampleGrid(tmp_path / "samples", n=4, every_n_epochs=3, seed=7)

    class Early(pl.Callback):
        """Draws before all others."""

        def on_validation_epoch_end(self, trainer, module):
            grid.on_validation_epoch_end(trainer, module)

    fit(tmp_path, Early() if first else grid, lr=0.1)
    (path,) = (tmp_path / "samples").iterdir()
    assert path.name == "epoch-0003.png"
    found = np.asarray(Image.open(path))
    last = state(tmp_path)
    assert np.array_equal(found, np.asarray(drawn(last["state_dict"], 4, 7)))
    assert not np.array_equal(found, np.asarray(drawn(last["current_model_state"], 4, 7)))


def test_pictures_do_not_change_the_training(tmp_path):
    fit(tmp_path / "with", SampleGrid(tmp_path / "with", n=2, every_n_epochs=1))
    fit(tmp_path / "without")
    for name, weight in state(tmp_path / "with")["state_dict"].items():
        assert torch.equal(weight, state(tmp_path / "without")["state_dict"][name])


def test_parameters_of_each_part_add_up(tmp_path, capsys):
    model = small()
    lines = dict(line.split() for line in parameter_table(model).replace("all ", "").splitlines())
    counts = {name: int(count.replace(",", "")) for name, count in lines.items()}
    whole = counts.pop("parameters")
    assert whole == sum(weight.numel() for weight in model.parameters())
    assert sum(counts.values()) == whole
    assert counts["stem"] == sum(weight.numel() for weight in model.stem.parameters())
    fit(tmp_path, ParameterCount(), max_epochs=1)
    assert parameter_table(model) in capsys.readouterr().err


def test_the_stored_model_is_the_averaged_one(tmp_path):
    fit(tmp_path)
    best = checkpoint.read(tmp_path / "checkpoints" / "best.ckpt")
    assert not all(
        torch.equal(weight, best["current_model_state"][name])
        for name, weight in best["state_dict"].items()
    )
