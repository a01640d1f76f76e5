"""All blocks at once are the blocks one by one."""

import pytest
import torch

from pixelrnn.layers import blocks
from pixelrnn.models import PixelCNN
from tests.helpers import random_images

VARIANTS = [
    {},
    {"residual": False},
    {"skip": False},
    {"residual": False, "skip": False},
    {"color_conditioning": False, "kernel_size": 5},
    {"kernel_size": 1},
    {"checkpoint_layers": True},
]


def log_prob_and_gradients(model, images):
    log_prob = model.log_prob(images)
    log_prob.sum().backward()
    return [log_prob.detach(), *(weight.grad for weight in model.parameters())]


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_all_blocks_at_once_are_the_blocks_one_by_one(settings, colors, monkeypatch):
    shape = (colors, 5, 4)
    fast = PixelCNN(shape, 4, hidden=9, layers=3, head_width=8, **settings)
    exact = PixelCNN(shape, 4, hidden=9, layers=3, head_width=8, **settings).double()
    exact.load_state_dict(fast.state_dict())
    images = random_images(3, shape, 4)
    calls, at_once = [], blocks.at_once
    monkeypatch.setattr(
        blocks, "at_once", lambda *given: calls.append(at_once(*given)) or calls[-1]
    )
    found = log_prob_and_gradients(fast, images)
    assert calls[-1] is not None
    expected = log_prob_and_gradients(exact, images)
    assert calls[-1] is None  # in float64 one by one
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * (1e-3 + theirs.abs().max())


def test_a_conditioned_model_goes_block_by_block():
    model = PixelCNN((1, 4, 4), 2, hidden=4, layers=2, classes=3)
    images, labels = random_images(2, (1, 4, 4), 2), torch.tensor([0, 2])
    x = torch.randn(4, 4, 2, 8)
    assert blocks.at_once(model.blocks, model.skips, x, False) is None
    assert model.log_prob(images, labels).shape == (2,)
