"""Stored configurations of earlier versions have today's keys."""

import pytest
import torch

from pixelrnn.models import GatedPixelCNN
from pixelrnn.runs.upgrade import of_nodes, upgraded
from pixelrnn.training.load import load_model

NAME = "pixelrnn.models.GatedPixelCNN"


@pytest.mark.parametrize(("before", "now"), [(True, "squashed"), (False, "linear")])
def test_squash_first_is_a_first_gate(before, now):
    small = {"_target_": NAME, "squash_first": before, "layers": 2}
    stored = {"model": {"_target_": "pixelrnn.models.MultiScale", "small": small}}
    upgraded = of_nodes(stored)
    assert upgraded["model"]["small"] == {"_target_": NAME, "first_gate": now, "layers": 2}
    assert "squash_first" in small  # the stored one stays as it is


def test_a_checkpoint_from_before_first_gate_loads(tmp_path):
    torch.manual_seed(0)
    model = GatedPixelCNN((1, 4, 4), 4, hidden=3, layers=1, first_gate="linear")
    described = model.description()
    assert described.pop("first_gate") == "linear"
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    content = {"model": described | {"squash_first": False}, "state_dict": state}
    torch.save(content, tmp_path / "old.ckpt")
    images = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4) % 4
    loaded = load_model(tmp_path / "old.ckpt")
    assert torch.equal(loaded.log_prob(images), model.log_prob(images))


def test_a_key_of_a_users_own_model_stays():
    node = {"_target_": "mine.Network", "squash_first": False}
    assert of_nodes(node) == node


SAVING = {"_target_": "pixelrnn.training.saving.RunCheckpoints", "folder": "runs/a/checkpoints"}
LIGHTNINGS = "pytorch_lightning.callbacks.ModelCheckpoint"


def test_the_checkpoint_callback_of_the_first_version_is_todays():
    old = {"_target_": LIGHTNINGS, "dirpath": "runs/a/checkpoints", "monitor": "val/bits_per_dim"}
    stored = {"callbacks": {"checkpoint": old, "samples": None}}
    assert upgraded(stored)["callbacks"] == {"samples": None, "checkpoints": SAVING}


@pytest.mark.parametrize(
    "checkpoint", [{"_target_": "mine.Keeps"}, {"_target_": LIGHTNINGS, "dirpath": "best"}, None]
)
def test_a_further_callback_called_checkpoint_stays(checkpoint):
    stored = {"callbacks": {"checkpoints": SAVING, "checkpoint": checkpoint}}
    assert upgraded(stored)["callbacks"] == stored["callbacks"]


@pytest.mark.parametrize("checkpoint", [{"_target_": "mine.Keeps"}, 3])
def test_a_callback_without_a_folder_is_none_of_the_first_version(checkpoint):
    stored = {"callbacks": {"checkpoint": checkpoint}}
    assert upgraded(stored)["callbacks"] == stored["callbacks"]
