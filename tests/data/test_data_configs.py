"""Every data set's configuration builds it, says its defaults, and fits every model."""

import inspect
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from pixelrnn.arguments import accepted_names
from pixelrnn.cli import data as verb
from pixelrnn.cli import docstrings
from pixelrnn.models import PixelCNN, RowLSTM
from pixelrnn.models.diagonal_bilstm import DiagonalBiLSTM
from tests.data import own_files
from tests.helpers import random_images

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))
EVERY = pytest.mark.parametrize("name", NAMES)
OWN = {"images": own_files.folder, "codes": own_files.codes}
"""Sets of the user's own files -> what makes some. Their shape comes from the files."""


def _config(name, root="nowhere"):
    return verb.configuration(name, [CONF], {}, root) | {"seed": 3}


def _complete(name, folder):
    """A configuration with all that must be given."""
    config = _config(name, folder / "data")
    return config | ({"path": str(OWN[name](folder / "own"))} if name in OWN else {})


@EVERY
def test_the_verb_composes_what_hydra_composes(name):
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        composed = hydra.compose(f"data/{name}")
    top = OmegaConf.merge({"seed": 3, "paths": {"data": "nowhere"}}, composed)
    assert OmegaConf.to_container(top, resolve=True)["data"] == _config(name)


@EVERY
def test_the_file_lists_the_arguments_with_their_defaults(name):
    config = _config(name)
    target = hydra.utils.get_method(config.pop("_target_"))
    assert sorted(config) == sorted(accepted_names(target))
    defaults = {n: p.default for n, p in inspect.signature(target).parameters.items()}
    chosen = {"seed": 3, "root": "nowhere", "path": "???"}
    if name.startswith("imagenet"):
        chosen["version"] = name
    assert config == defaults | {key: value for key, value in chosen.items() if key in config}


@EVERY
def test_every_set_says_what_its_keys_mean(name):
    config = _config(name)
    target = hydra.utils.get_method(config.pop("_target_"))
    described = docstrings.arguments(target.__doc__)
    assert sorted(described) == sorted(config)
    assert all(described.values())


@EVERY
def test_every_set_can_be_kept_on_the_device_and_served_by_workers(name, tmp_path):
    config = _complete(name, tmp_path)
    target = hydra.utils.get_method(config.pop("_target_"))
    assert target(**config | {"on_device": True, "num_workers": 0}).on_device
    assert target(**config | {"num_workers": 3}).num_workers == 3


OLD = {  # as runs of earlier versions have stored them
    "digits": {"binary": False, "batch_size": 32, "eval_batch_size": 256, "num_workers": 0},
    "patches": {"size": 16, "crops_per_epoch": 4096, "batch_size": 16, "num_workers": 0},
    "imagenet32_oord": {"version": "imagenet32_oord", "val_size": 0, "in_memory": False},
}


@pytest.mark.parametrize("name", OLD)
def test_configurations_of_earlier_versions_are_read(name):
    target = hydra.utils.get_method(_config(name)["_target_"])
    assert target(**OLD[name], seed=0).dataset_id == name.replace("patches", "patches16")


@EVERY
@pytest.mark.parametrize("model", [PixelCNN, RowLSTM, DiagonalBiLSTM])
def test_the_set_fits_the_model_before_any_file_is_written(name, model, tmp_path):
    data = hydra.utils.instantiate(_complete(name, tmp_path), _convert_="all")
    colors, height, width = data.image_shape
    network = model((colors, min(height, 8), min(width, 8)), data.levels, hidden=3, layers=1)
    images = random_images(2, network.image_shape, data.levels)
    assert network.log_prob(images).isfinite().all()
    assert {path.name for path in tmp_path.iterdir()} == ({"own"} if name in OWN else set())
