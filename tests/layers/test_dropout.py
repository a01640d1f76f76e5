"""Masks are a function of their key, and are drawn in training alone."""

import pytest
import torch
from torch import nn

from pixelrnn.layers import dropout
from pixelrnn.layers.dropout import Dropout


@pytest.fixture
def layers():
    model = nn.ModuleList([Dropout(0.5), nn.Linear(2, 2), Dropout(0.0), Dropout(0.5)]).train()
    found = dropout.layers_of(model)
    assert found == [model[0], model[3]]  # what drops nothing needs no key
    return found


def mask(layer, shape=(4, 5, 3, 8)):
    return layer(torch.ones(shape)) != 0


def keyed(layers, *numbers):
    dropout.begin_step(layers, *numbers)
    return [mask(layer) for layer in layers]


def test_a_mask_is_a_function_of_the_key_alone(layers):
    first = keyed(layers, 0, 7, 1, 0)
    torch.manual_seed(123)
    again = keyed(layers, 0, 7, 1, 0)
    assert all(map(torch.equal, first, again))
    assert torch.equal(mask(layers[0]), first[0])  # computed again for the gradient
    torch.manual_seed(5)
    state = torch.get_rng_state()
    mask(layers[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_steps_batches_processes_and_layers_have_masks_of_their_own(layers):
    numbers = [(0, 7, 1, 0), (1, 7, 1, 0), (0, 8, 1, 0), (0, 7, 2, 0), (0, 7, 1, 1)]
    masks = [one for each in numbers for one in keyed(layers, *each)]
    assert len({tuple(one.flatten().tolist()) for one in masks}) == 2 * len(numbers)


@pytest.mark.parametrize("key", [None, 3])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_share_is_dropped_and_the_mean_stays(rate, key):
    layer = Dropout(rate).train()
    layer.key = key
    x = torch.ones(100, 100, requires_grad=True)
    y = layer(x)
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1 / (1 - rate)).item()}
    assert (y == 0).float().mean().item() == pytest.approx(rate, abs=0.02)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_nothing_is_dropped_elsewhere():
    layer, x = Dropout(0.9).train(), torch.ones(10, 10)
    assert not torch.equal(layer(x), x)
    with torch.no_grad():
        assert torch.equal(layer(x), x)
    with torch.inference_mode():
        assert torch.equal(layer(x), x)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)


def test_without_a_key_masks_come_from_the_global_generator(layers):
    dropout.begin_step(layers, 1)
    dropout.end(layers)
    assert not torch.equal(mask(layers[0]), mask(layers[0]))
    torch.manual_seed(0)
    first = mask(layers[0])
    torch.manual_seed(0)
    assert torch.equal(mask(layers[0]), first)
