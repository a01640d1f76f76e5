"""A known part is walked once and continued many times: to the last bit as when walked anew."""

import pytest
import torch

from pixelrnn.generation.raster import Walk
from pixelrnn.generation.sources import Draw, for_images
from pixelrnn.layers.steps.base import Memory, State
from pixelrnn.layers.steps.masked_conv import MaskedConvStep
from tests.helpers import CAUSAL, name_of, random_images

SHAPE, LEVELS, COPIES = (3, 4, 5), 8, 3
PREFIXES = [0, 1, 7, 10, 19]  # pixels: nothing, in a row, a whole number of rows, all but one


class Recorded:
    def __init__(self, source):
        self.source = source
        self.log_probs = []

    def __call__(self, log_probs, position):
        self.log_probs.append(log_probs.clone())
        return self.source(log_probs, position)


def generators(n):
    return for_images(3, n)


def given(images):
    def source(log_probs, position):
        return images[:, position.color, position.row, position.column]

    return source


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("case", CAUSAL, ids=name_of)
def test_walked_once_and_continued_many_times(case, prefix):
    model = case(SHAPE, LEVELS, dtype=torch.float32)
    images = random_images(2, SHAPE, LEVELS)

    context = model.context(None)
    walk = Walk(model, 2, context)
    walk.advance(given(images), prefix)
    many = walk.repeat(COPIES)
    continued = Recorded(Draw(generators(2 * COPIES)))
    found = many.advance(continued)

    repeated = images.repeat_interleave(COPIES, dim=0)
    known = torch.arange(20).view(4, 5) < prefix
    anew, draw = Walk(model, 2 * COPIES, context), Draw(generators(2 * COPIES))
    anew.advance(given(repeated), prefix)
    expected_log_probs = Recorded(draw)
    expected = anew.advance(expected_log_probs)
    assert torch.equal(found, expected)
    assert all(map(torch.equal, continued.log_probs, expected_log_probs.log_probs))
    assert torch.equal(found[:, :, known], repeated[:, :, known])
    assert not found.is_inference()

    # the walk that was repeated goes on as if nothing had happened
    alone = Walk(model, 2, context)
    alone.advance(given(images), prefix)
    assert torch.equal(walk.advance(Draw(generators(2))), alone.advance(Draw(generators(2))))


def test_a_copy_that_still_writes_to_its_origin_is_found(monkeypatch):
    """Planted fault: calls stay bound to the memory of the walk that was repeated."""
    model = CAUSAL[0](SHAPE, LEVELS, dtype=torch.float32)
    walk = Walk(model, 2)
    walk.advance(Draw(generators(2)), 8)
    expected = walk.repeat(1).advance(Draw(generators(2)))
    monkeypatch.setattr(MaskedConvStep, "bind", lambda step: None)
    assert not torch.equal(walk.repeat(1).advance(Draw(generators(2))), expected)


def test_a_copy_and_its_origin_do_not_touch_each_other():
    model = CAUSAL[-1](SHAPE, LEVELS, dtype=torch.float32)
    walk = Walk(model, 2)
    walk.advance(Draw(generators(2)), 8)
    twin = walk.repeat(1)
    tensors = [
        {tensor.data_ptr() for step in w.stepper.steps for tensor in _states(step)}
        for w in (walk, twin)
    ]
    assert len(tensors[0]) > 10
    assert tensors[0].isdisjoint(tensors[1])


def _states(part):
    for value in vars(part).values():
        if isinstance(value, State):
            yield from vars(value).values()
        elif isinstance(value, Memory):
            yield from _states(value)
