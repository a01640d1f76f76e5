"""Dropout in the models whose papers have it."""

from functools import partial

import pytest
import torch

from pixelrnn.layers import dropout
from pixelrnn.models import GatedPixelCNN, PixelSNAIL
from tests.helpers import random_images

SMALL = {"hidden": 8, "layers": 2, "head_width": 8, "dropout": 0.4}
MODELS = [GatedPixelCNN, partial(PixelSNAIL, convolutions=2, key_width=2)]


def build(kind, **settings):
    torch.manual_seed(0)
    return kind((3, 4, 5), 4, **SMALL, **settings)


@pytest.fixture
def images():
    return random_images(3, (3, 4, 5), 4)


@pytest.mark.parametrize("kind", MODELS, ids=["gated_pixelcnn", "pixelsnail"])
@pytest.mark.parametrize("key", [None, 5])
def test_a_block_that_is_computed_again_drops_the_same(kind, key, images):
    values = []
    for checkpoint_layers in (False, True):
        model = build(kind, checkpoint_layers=checkpoint_layers).train()
        if key is not None:
            dropout.begin_step(dropout.layers_of(model), key)
        torch.manual_seed(1)
        log_prob = model.log_prob(images)
        log_prob.sum().backward()
        values.append([log_prob, *(p.grad for p in model.parameters())])
    assert all(map(torch.equal, *values))


@pytest.mark.parametrize("kind", MODELS, ids=["gated_pixelcnn", "pixelsnail"])
def test_it_acts_in_training_alone(kind, images):
    model = build(kind).train()
    whole = build(kind).eval().log_prob(images)
    assert not torch.allclose(model.log_prob(images), whole)
    with torch.no_grad():
        torch.testing.assert_close(model.log_prob(images), whole)
    drawn = [build(kind).train(mode).sample(2, generator=seeded()) for mode in (True, False)]
    assert torch.equal(*drawn)


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("kind", MODELS, ids=["gated_pixelcnn", "pixelsnail"])
def test_every_block_drops(kind, images):
    """All weights get a gradient through what is kept."""
    model = build(kind).train()
    count = {GatedPixelCNN: 1}.get(kind, 2 + 1 + 2)  # convolutions, join, queries and keys
    assert len(dropout.layers_of(model)) == 2 * count
    model.log_prob(images).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    with pytest.raises(ValueError, match="dropout"):
        kind((3, 4, 5), 4, **{**SMALL, "dropout": 1.0})
