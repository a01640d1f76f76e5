"""A half-done run whose files are damaged: one line, and what is sound is used or kept."""

import os
from pathlib import Path

import pytest
import torch

from pixelrnn.cli.main import main
from pixelrnn.training import checkpoint
from pixelrnn.training.checkpoint import AtomicCheckpointIO
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")
COMMAND = [*TINY, "evaluate=[val]", "folder=run"]


@pytest.fixture
def run():
    """A run that died after its training."""
    assert main(COMMAND) == 0
    os.unlink("run/results.json")
    return Path("run")


def a_folder(path):
    path.unlink()
    path.mkdir()


def half(path):
    path.write_bytes(path.read_bytes()[:900])


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def changed(path, change):
    content = checkpoint.read(path)
    change(content)
    AtomicCheckpointIO().save_checkpoint(content, path)


def nan(path):
    changed(path, lambda content: next(iter(content["state_dict"].values())).fill_(torch.nan))


def no_optimizer(path):
    changed(path, lambda content: content.pop("optimizer_states"))


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("metrics.csv", a_folder, "metrics.csv: is a folder"),
        ("checkpoints/last.ckpt", a_folder, "last.ckpt: is a folder"),
        ("checkpoints/best.ckpt", half, "best.ckpt: damaged"),
        ("checkpoints/best.ckpt", nan, "not finite"),
    ],
)
def test_refused_in_one_line(capfd, run, name, damage, says):
    damage(run / name)
    capfd.readouterr()
    assert main(COMMAND) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert says in lines[-1]
    assert lines[-1].startswith("pixelrnn: ")
    assert not (run / "results.json").exists()


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("checkpoints/last.ckpt", half, "last.ckpt: damaged"),
        ("checkpoints/last.ckpt", nan, "not finite"),
        ("checkpoints/last.ckpt", no_optimizer, "holds weights only"),
        ("metrics.csv", zeros, "metrics.csv: damaged"),
        ("metrics.csv", os.unlink, "metrics.csv: damaged"),
    ],
)
def test_healed_and_said(caplog, run, name, damage, says):
    damage(run / name)
    assert main(COMMAND) == 0
    assert [line for line in caplog.messages if says in line]
    assert (run / "results.json").exists()
