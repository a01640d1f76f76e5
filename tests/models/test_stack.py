"""The skips of recurrent blocks see what is inside them, and give what the definition gives."""

import pytest
import torch

from pixelrnn.models import DiagonalBiLSTM, RowLSTM
from pixelrnn.models.stack import StackModel
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
