"""Every data set's configuration builds it, says its defaults, and fits every model."""

from pathlib import Path

import hydra
import pytest
import torch
from omegaconf import OmegaConf

from pixelrnn.arguments import accepted_names
from pixelrnn.data import catalogue
from pixelrnn.models import PixelCNN, RowLSTM
from pixelrnn.models.diagonal_bilstm import DiagonalBiLSTM

CONF = Path(__file__).parents[2] / "conf" / "data"
STAND_INS = "small_"  # sets above with other sizes, for scale=small
NAMES = sorted(path.stem for path in CONF.glob("*.yaml") if not path.stem.startswith(STAND_INS))


def _config(name, root="nowhere"):
    config = OmegaConf.load(CONF / f"{name}.yaml")
    top = OmegaConf.create({"seed": 3, "paths": {"data": str(root)}, "data": config})
    return OmegaConf.to_container(top, resolve=True)["data"]


@pytest.mark.parametrize("name", NAMES)
def test_the_file_lists_the_arguments_with_their_defaults(name):
    import inspect

    config = _config(name)
    target = hydra.utils.get_class(config.pop("_target_"))
    assert list(config) == accepted_names(target)
    defaults = {n: p.default for n, p in inspect.signature(target).parameters.items()}
    chosen = {"seed": 3, "root": "nowhere"}
    if name.startswith("imagenet"):
        chosen["version"] = name
    assert config == defaults | {key: value for key, value in chosen.items() if key in config}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", [PixelCNN, RowLSTM, DiagonalBiLSTM])
def test_the_set_fits_the_model_before_any_file_is_read(name, model, tmp_path):
    data = hydra.utils.instantiate(_config(name, tmp_path / "not there"), _convert_="all")
    colors, height, width = data.image_shape
    network = model((colors, min(height, 8), min(width, 8)), data.levels, hidden=3, layers=1)
    images = torch.randint(data.levels, (2, *network.image_shape), dtype=torch.uint8)
    assert network.log_prob(images).isfinite().all()
    assert not list(tmp_path.iterdir())


def test_every_set_is_in_the_catalogue():
    assert {catalogue.ALIASES.get(name, name) for name in NAMES} <= set(catalogue.CATALOGUE)
