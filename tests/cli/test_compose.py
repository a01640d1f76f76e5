"""The configuration files: whole, small, and in step with the constructors."""

import importlib
import inspect

import hydra
import numpy as np
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from pixelrnn import arguments
from pixelrnn.cli import compose
from pixelrnn.cli.main import VERBS, main
from pixelrnn.results import hydra_groups, shipped
from pixelrnn.training import preparation
from pixelrnn.training.settings import Settings

CONF = shipped.conf()
FILES = sorted(CONF.rglob("*.yaml"))
OWN_FILES = {("data", "images"), ("data", "codes")}


def composed(config_name, *overrides) -> DictConfig:
    overrides = [*overrides, *(["label=x"] if config_name == "train" else [])]
    hydra_groups.register()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return hydra.compose(config_name, overrides)


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "scheduler", "likelihood"])
def test_every_choice_composes_and_is_valid(group, tmp_path):
    for choice in choices(group):
        if (group, choice) == ("likelihood", "bernoulli"):
            continue
        words = [f"{group}={choice}", "logger=csv"]
        if (group, choice) in OWN_FILES:
            np.save(tmp_path / "own.npy", np.arange(16 * 64, dtype=np.uint8).reshape(16, 8, 8))
            words += [f"data.path={tmp_path / 'own.npy'}", "data.layout=NHW"][
                : 2 - (choice == "codes")
            ]
        config = composed("train", *words)
        preparation.prepare(compose.plain(config))


def test_bernoulli_goes_with_binary_data():
    config = composed("train", "likelihood=bernoulli", "data.binary=true", "logger=csv")
    resolved = preparation.prepare(compose.plain(config)).config
    assert resolved["model"]["levels"] == 2


OURS = [(g, c) for g in ("data", "model") for c in choices(g)]


@pytest.mark.parametrize(("group", "choice"), OURS)
def test_files_list_the_arguments_of_the_constructor(group, choice):
    """So that no key is missing from a file, and none outlives its argument."""
    config = OmegaConf.to_container(composed("train", f"{group}={choice}")[group])
    module, _, name = config.pop("_target_").rpartition(".")
    target = getattr(importlib.import_module(module), name)
    of_stages = {"map_features"}  # no model but the large stage of MultiScale is given a map
    assert set(config) == set(arguments.accepted_names(target)) - of_stages


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 32
    yaml.safe_load(path.read_text())


def test_train_takes_the_keys_of_its_configuration():
    assert set(composed("train")) == set(inspect.signature(Settings).parameters)


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["data=digits"], "4539cb2a"),
        (["data=digits", "model=gated_pixelcnn"], "ac627adf"),
        (["data=digits", "model=row_lstm"], "1e4587c0"),
        (["data=patches", "model=pixelcnn"], "ef026ce9"),
        (["data=mesh"], "f3dafa84"),
    ],
)
def test_the_command_of_an_earlier_version_finds_its_run(words, expected):
    """Signatures of commit 950a701: a key that is new since then stands in `signature.LATER`."""
    assert preparation.prepare(compose.composed(words)).config["signature"] == expected
