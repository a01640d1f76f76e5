"""Recurrent blocks in one call, and skips that see what is inside blocks, equal the definition."""

import pytest
import torch

from pixelrnn.models import DiagonalBiLSTM, RowLSTM
from pixelrnn.models.stack import StackModel
from pixelrnn.ops import choices
from tests.helpers import random_images


@pytest.mark.parametrize("cls", [RowLSTM, DiagonalBiLSTM])
@pytest.mark.parametrize(
    "settings",
    [{}, {"residual": False}, {"checkpoint_layers": True}, {"skip": False}, {"classes": 3}],
    ids=str,
)
def test_skips_from_the_inside_are_the_skips(cls, settings, monkeypatch):
    shape = (3, 4, 5)
    model = cls(shape, 4, hidden=5, layers=3, head_width=8, **settings).double()
    images = random_images(2, shape, 4)
    labels = torch.tensor([0, 2]) if "classes" in settings else None
    found = []
    for through in (cls.through_blocks, StackModel.through_blocks):
        monkeypatch.setattr(cls, "through_blocks", through)
        model.zero_grad()
        log_prob = model.log_prob(images, labels)
        log_prob.sum().backward()
        found.append([log_prob.detach(), *(weight.grad for weight in model.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-11)


@pytest.mark.parametrize("cls", [RowLSTM, DiagonalBiLSTM])
@pytest.mark.parametrize(
    "settings", [{}, {"residual": False, "checkpoint_layers": True}, {"skip": False}], ids=str
)
def test_blocks_in_one_call_are_the_blocks_one_by_one(cls, settings):
    """In float32, against the plain recurrence in float64."""
    shape = (3, 4, 5)
    options = {"hidden": 5, "layers": 3, "head_width": 8, **settings}
    model = cls(shape, 4, **options)
    plain = cls(shape, 4, kernel="reference", **options).double()
    plain.load_state_dict(model.state_dict())
    images = random_images(3, shape, 4)
    choices.forget()
    found = []
    for each in (model, plain):
        log_prob = each.log_prob(images)
        log_prob.sum().backward()
        found.append([log_prob.detach(), *(weight.grad for weight in each.parameters())])
    assert choices.lines()[0] == "lstm_blocks kernel: native"
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours.double(), theirs, rtol=1e-4, atol=1e-4)
