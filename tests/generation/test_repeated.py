"""A walk that repeats what it has recorded is the walk step by step, to the last bit."""

import gc
import weakref

import pytest
import torch

from pixelrnn.generation.raster import Walk
from pixelrnn.generation.sources import Draw, for_images
from pixelrnn.models import PixelCNN
from pixelrnn.ops.conv_lstm.single_position import TORCH_ONLY
from pixelrnn.ops.tapes import Tape
from tests.helpers import CAUSAL, name_of

SHAPES = [(3, 3, 5), (1, 1, 6), (1, 4, 1), (2, 3, 2), (3, 1, 1), (1, 3, 3)]


def walked(model, n, repeats=True):
    """The images, all log-probabilities, and the walk."""
    walk, seen = Walk(model, n, model.context(None)), []
    walk.stepper.tapes.wanted &= repeats
    draw = Draw(for_images(1, n) or None)

    def source(log_probs, position):
        seen.append(log_probs.clone())
        return draw(log_probs, position)

    return walk.advance(source), torch.stack(seen), walk


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", CAUSAL, ids=name_of)
def test_the_same_bits_as_step_by_step(case, shape):
    model = case(shape, 5, dtype=torch.float32)
    images, log_probs, walk = walked(model, 3)
    expected, expected_log_probs, plain = walked(model, 3, repeats=False)
    assert torch.equal(images, expected)
    assert torch.equal(log_probs, expected_log_probs)
    assert all(plain.stepper.tapes.tape(group) is None for group in range(len(plain.groups)))
    if shape[1] * shape[2] > 3:  # enough pixels to record
        assert all(walk.stepper.tapes.tape(group) for group in range(len(walk.groups)))


@pytest.mark.parametrize("n", [0, 1, 9])
def test_any_number_of_images(n):
    model = CAUSAL[0]((3, 3, 4), 5, dtype=torch.float32)
    images, log_probs, _ = walked(model, n)
    expected, expected_log_probs, _ = walked(model, n, repeats=False)
    assert torch.equal(images, expected)
    assert torch.equal(log_probs, expected_log_probs)


def test_buffers_that_do_not_move_along_are_found(monkeypatch):
    """Planted fault: every column works on the memory of the first."""
    model = CAUSAL[0]((1, 3, 5), 5, dtype=torch.float32)
    _, expected, _ = walked(model, 3)
    original = Tape._native

    def planted(tape, start, count):
        run = original(tape, start, count)
        return lambda column: run(min(column, 2))

    monkeypatch.setattr(Tape, "_native", planted)
    assert not torch.equal(walked(model, 3)[1], expected)


class Squared(PixelCNN):
    """A network with an operation between its layers that cannot be recorded."""

    def compose(self, pixels, run):
        return super().compose(pixels, lambda layer, *x: run(layer, *x).square())


def test_a_network_that_cannot_be_repeated_is_walked_step_by_step():
    torch.manual_seed(0)
    model = Squared((1, 3, 4), 5, hidden=3, layers=1).eval()
    images, log_probs, walk = walked(model, 3)
    assert not walk.stepper.tapes.wanted
    whole = model.conditionals(images).detach()
    positions = [(row, column) for row in range(3) for column in range(4)]
    for index, (row, column) in enumerate(positions):
        torch.testing.assert_close(log_probs[index], whole[:, 0, :, row, column])


def test_a_cell_of_torch_is_not_repeated():
    model = next(case for case in CAUSAL if case.name == "row_lstm")((1, 3, 4), 5).float()
    token = TORCH_ONLY.set(True)
    try:
        _, log_probs, walk = walked(model, 3)
        assert not walk.stepper.tapes.wanted
        _, expected, _ = walked(model, 3, repeats=False)
    finally:
        TORCH_ONLY.reset(token)
    assert torch.equal(log_probs, expected)


def test_memory_is_given_back_with_the_walk():
    """No circle of references keeps the buffers of a walk that is over."""
    model = CAUSAL[0]((1, 3, 5), 5, dtype=torch.float32)
    gc.disable()
    try:
        _, _, walk = walked(model, 3)
        buffers = [
            weakref.ref(step.state.__dict__[next(iter(step.state.__dict__))])
            for step in walk.stepper.steps
        ]
        del walk
        assert all(buffer() is None for buffer in buffers)
    finally:
        gc.enable()
