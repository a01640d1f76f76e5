"""The graph rung with a recorder that runs on a CPU; no CUDA graph is made here."""

from functools import partial

import pytest
import torch

from pixelrnn.ops import skew
from pixelrnn.ops.conv_lstm import autograd, cuda_graph, loops, reference
from pixelrnn.ops.conv_lstm.dispatch import Kernel, conv_lstm
from tests.ops.conv_lstm.test_autograd import (
    FROZEN,
    SIZES,
    TOLERANCE,
    draw,
    values_and_gradients,
    worst,
)


class Recorder:
    """Like a CUDA graph: what is played back reads and writes the memory of the recording."""

    def __init__(self):
        self.recorded = self.played = 0

    def __call__(self, function):
        self.recorded += 1
        outputs = function()

        def replay():
            self.played += 1
            for mine, new in zip(outputs, function(), strict=True):
                cuda_graph._flat(mine).copy_(cuda_graph._flat(new))

        return outputs, replay


def rung(record, compile="none"):
    captured = cuda_graph.captured(loops.line_by_line(compile, "cpu", torch.float64), record)
    return partial(autograd.conv_lstm, loops_for=lambda *_: captured)


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_reference_again_and_again(size, frozen):
    """Played back with new inputs, also between the two passes of the old ones."""
    record = Recorder()
    ours = rung(record)
    options = 1, FROZEN[frozen](*size[1:3])
    pending = []
    for seed in range(3):
        inputs, upstream = draw(*size, 2, seed=seed)
        pending.append((ours(*inputs, *options), inputs, upstream))
    for hidden, inputs, upstream in pending:
        gradients = torch.autograd.grad(hidden, inputs, upstream)
        theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, *options)
        assert worst([hidden, *gradients], theirs) < TOLERANCE[torch.float64]
    assert record.recorded == 2
    assert record.played == 2 * (1 + 3)  # the first of each is checked before it is used


@pytest.mark.parametrize("width", [1, 3, 5])
def test_skewed_views(width):
    (image, *others), _ = draw(2, 4, width, 3, 2, 2)
    _, upstream = draw(2, 4 + width - 1, 4, 3, 2, 2)
    frozen = skew.outside_image(4, width)
    upstream = upstream * ~frozen[:, :, None, None]
    ours = rung(Recorder())
    results = [
        values_and_gradients(
            lambda x, *rest, run=run: run(skew.skew(x), *rest, 1, frozen),
            [image, *others],
            upstream,
        )
        for run in (ours, ours, reference.conv_lstm)
    ]
    for mine in results[:2]:
        assert worst(mine, results[2]) < TOLERANCE[torch.float64]


def test_shapes_have_recordings_of_their_own():
    record = Recorder()
    ours = rung(record)
    for batch in (1, 2, 1):
        inputs, _ = draw(1, 3, 2, batch, 2, 2)
        with torch.no_grad():
            hidden = ours(*inputs, 1, None)
        assert torch.allclose(hidden, reference.conv_lstm(*inputs, 1, None))
    assert record.recorded == 2


def refuses(function):
    raise RuntimeError("operation not permitted when stream is capturing")


def is_stale(function):
    outputs = tuple(x.clone() for x in function())
    return outputs, lambda: None


@pytest.mark.parametrize("record", [refuses, is_stale])
def test_a_recording_that_fails_or_is_wrong_is_not_used(record, caplog):
    ours = rung(record)
    inputs, upstream = draw(1, 3, 2, 2, 3, 2)
    for _ in range(2):
        mine = values_and_gradients(ours, inputs, upstream, 1, None)
        theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, 1, None)
        assert worst(mine, theirs) < TOLERANCE[torch.float64]
    assert len(caplog.records) == 2  # one for each pass
    assert "no CUDA graph" in caplog.text


def test_it_is_for_cuda():
    inputs, _ = draw(1, 2, 2, 1, 2, 1)
    with pytest.raises(ValueError, match="on cuda only"):
        conv_lstm(*inputs, pad_before=0, kernel=Kernel("cuda_graph"))
