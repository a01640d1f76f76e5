"""Multiruns that are refused in one line, before the first job."""

import os
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from pixelrnn.cli.main import main
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("model.layers=1,0,2", "model.layers=0: input should be greater than or equal to 1"),
        ("seed=0,1 model.hidden=4,8,-1", "model.hidden=-1: input should be greater"),
        ("model=pixelcnn,row_lstm model.forget_bias=0", "model.forget_bias"),
        ("label=a,b/c", "label=b/c"),
        ("data=digits,patches data.size=8", "data.size: no such key"),
    ],
)
def test_what_any_job_would_refuse_is_refused_before_the_first(words, says, capfd):
    """In one line."""
    assert main([*TINY, "-m", *words.split()]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert says in line
    assert not Path("runs").exists()


def test_words_that_do_not_compose_are_wrong_input(capfd):
    assert main([*TINY, "-m", "model.hiden=4"]) == 2
    assert "model.hiden: no such key" in capfd.readouterr().err
    assert not Path("runs").exists()


def test_a_key_that_only_varying_choices_have_is_told_how_to_be_written(capfd):
    assert main(["train", "-m", "data=mesh,ising", "data.train_size=8"]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "data.train_size: no such key" in line
    assert "write ++ before the key" in line


def test_a_wrong_choice_of_a_later_job_is_wrong_input(capfd):
    words = ["model=pixelcnn,pixelcn", "hydra.sweeper.max_batch_size=1"]
    assert main([*TINY, "-m", *words]) == 2
    assert "model=pixelcn: no such choice; did you mean model=pixelcnn" in capfd.readouterr().err
    assert not Path("runs").exists()


def test_a_swept_key_that_is_none_is_wrong_input(capfd):
    assert main([*TINY, "-m", "model.hiden=4,8"]) == 2
    assert "model.hiden: no such key" in capfd.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("preset", "plugin", "extra"),
    [
        ("launcher=local_joblib", "joblib", "joblib"),
        ("launcher=local_submitit", "submitit_local", "slurm"),
        ("launcher=slurm", "submitit_slurm", "slurm"),
        ("launcher=slurm_ddp", "submitit_slurm", "slurm"),
        ("launcher=local_ray", "ray", "ray"),
        ("launcher=ray_cluster", "ray", "ray"),
        ("sweeper=optuna_study", "optuna", "optuna"),
    ],
)
def test_a_missing_extra_is_named(preset, plugin, extra, monkeypatch, capfd):
    Plugins.instance()  # registers those that are installed
    group = ConfigStore.instance().repo["hydra"].get(preset.partition("=")[0], {})
    monkeypatch.delitem(group, f"{plugin}.yaml", raising=False)
    assert main([*TINY, "-m", "seed=0,1", f"hydra/{preset}"]) == 2
    assert f"{plugin} is missing; pip install 'pixelrnn[{extra}]'" in capfd.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [["data.num_workers=1"], ["data.num_workers=0,2"]])
def test_loaders_that_joblib_cannot_start_are_refused_before_the_first_job(capfd, words):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="extra missing")
    command = ["train", "-m", "hydra/launcher=local_joblib", "seed=0,1", *words]
    assert main(command) == 2
    err = capfd.readouterr().err
    assert "jobs of hydra/launcher=local_joblib cannot start processes that load data" in err
    assert os.listdir() == []
