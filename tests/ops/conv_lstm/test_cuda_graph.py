"""The graph rung with recorders that run on a CPU; no CUDA graph is made here."""

import gc
from functools import partial

import pytest
import torch

from pixelrnn.errors import KernelError
from pixelrnn.ops import choices, skew
from pixelrnn.ops.conv_lstm import autograd, cuda_graph, loops, recordings, reference
from pixelrnn.ops.conv_lstm.dispatch import Kernel, conv_lstm
from tests.ops.conv_lstm import recorders
from tests.ops.conv_lstm.test_autograd import (
    FROZEN,
    SIZES,
    TOLERANCE,
    draw,
    values_and_gradients,
    worst,
)


@pytest.fixture(autouse=True)
def _nothing_noted():
    choices.forget()
    yield
    choices.forget()


def rung(recorder, compile="none", **settings):
    plain = loops.line_by_line(compile, "cpu", torch.float64)
    captured = cuda_graph.captured(plain, recorder, **{"patience": 1, **settings})
    return partial(autograd.conv_lstm, loops_for=lambda *_: captured)


def assert_right(ours, *size, seed=0, frozen=None):
    inputs, upstream = draw(*size, seed=seed)
    mine = values_and_gradients(ours, inputs, upstream, 1, frozen)
    theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, 1, frozen)
    assert worst(mine, theirs) < TOLERANCE[torch.float64]


SIZE = (1, 3, 2, 2, 3, 2)


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_reference_again_and_again(size, frozen):
    """Played back with new inputs, also between the two passes of the old ones."""
    recorder = recorders.Honest()
    ours = rung(recorder)
    options = 1, FROZEN[frozen](*size[1:3])
    pending = []
    for seed in range(3):
        inputs, upstream = draw(*size, 2, seed=seed)
        pending.append((ours(*inputs, *options), inputs, upstream))
    for hidden, inputs, upstream in pending:
        gradients = torch.autograd.grad(hidden, inputs, upstream)
        theirs = values_and_gradients(reference.conv_lstm, inputs, upstream, *options)
        assert worst([hidden, *gradients], theirs) < TOLERANCE[torch.float64]
    assert recorder.recorded == 2
    assert recorder.played == 2 * (2 + 3)  # each is checked twice before it is used


@pytest.mark.parametrize("width", [1, 3, 5])
def test_skewed_views(width):
    (image, *others), _ = draw(2, 4, width, 3, 2, 2)
    _, upstream = draw(2, 4 + width - 1, 4, 3, 2, 2)
    frozen = skew.outside_image(4, width)
    upstream = upstream * ~frozen[:, :, None, None]
    ours = rung(recorders.Honest())
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


def test_gradients_of_two_batches_add_up():
    """`accumulate_grad_batches=2`: what autograd is given is not written again."""
    ours, sums = rung(recorders.Honest()), []
    for run in (ours, reference.conv_lstm):
        leaves, upstream = draw(*SIZE)
        for factor in (1, 3, -1):
            run(*leaves, 1, None).backward(factor * upstream)
        sums.append([leaf.grad for leaf in leaves])
    assert worst(*sums) < TOLERANCE[torch.float64]


def test_shapes_have_recordings_of_their_own():
    recorder = recorders.Honest()
    ours = rung(recorder)
    for batch in (1, 2, 1):
        inputs, _ = draw(1, 3, 2, batch, 2, 2)
        with torch.no_grad():
            hidden = ours(*inputs, 1, None)
        assert torch.allclose(hidden, reference.conv_lstm(*inputs, 1, None))
    assert recorder.recorded == 2


def test_settings_of_the_process_have_recordings_of_their_own():
    """A graph that was recorded with TensorFloat-32 must not serve an exact evaluation."""
    recorder = recorders.Honest()
    ours = rung(recorder)
    before = torch.get_float32_matmul_precision()
    try:
        for precision in ("highest", "high", "highest"):
            torch.set_float32_matmul_precision(precision)
            with torch.no_grad():
                ours(*draw(*SIZE)[0], 1, None)
    finally:
        torch.set_float32_matmul_precision(before)
    assert recorder.recorded == 2


def test_few_recordings_are_kept_and_the_one_least_used_goes():
    recorder = recorders.Honest()
    ours = rung(recorder, limit=2)
    with torch.no_grad():
        for batch in (1, 2, 1, 3, 1, 2):  # 3 takes the place of 2
            inputs, _ = draw(1, 3, 2, batch, 2, 2)
            assert torch.allclose(ours(*inputs, 1, None), reference.conv_lstm(*inputs, 1, None))
    assert recorder.recorded == 4
    assert recorder.settled == 2  # nothing is given back that may still be read


def test_what_a_recording_reads_lives_as_long_as_it(caplog):
    """And no longer: memory of a device must not wait for Python's search for cycles."""
    recorder = recorders.KeepsNothing()
    ours = rung(recorder, limit=2)
    assert_right(ours, *SIZE)
    assert_right(ours, *SIZE, seed=1)
    assert not caplog.records
    gc.disable()
    try:
        assert all(held() is not None for held in recorder.held)
        del ours
        assert all(held() is None for held in recorder.held)
    finally:
        gc.enable()


def test_what_comes_once_is_not_recorded():
    recorder = recorders.Honest()
    ours = rung(recorder, patience=2)
    for calls, recorded in ((1, 0), (2, 2), (3, 2)):
        assert_right(ours, *SIZE)
        assert recorder.recorded == recorded, calls


def test_nothing_is_played_while_another_records():
    recorder = recorders.Honest()
    ours = rung(recorder)
    recorder.busy = True
    assert_right(ours, *SIZE)
    assert recorder.recorded == recorder.played == 0


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (recorders.FrozenOutputs, "not close"),
        (recorders.FrozenInputs, "not close"),
        (recorders.Zeros, "not close"),
        (recorders.NothingWritten, "not close"),
        (recorders.RefusesToRecord, "not permitted"),
        (recorders.EndsInAnotherError, "not permitted"),
        (recorders.RefusesToReplay, "illegal memory access"),
    ],
)
def test_a_recording_that_fails_or_is_wrong_is_not_used(hostile, reason, caplog):
    recorder = hostile()
    ours = rung(recorder)
    for seed in range(3):
        assert_right(ours, *SIZE, seed=seed)
    assert len(caplog.records) == 2  # one for each pass, and no second try
    assert all("no CUDA graph" in line and reason in line for line in caplog.messages)
    assert recorder.settled == 2
    assert choices.lines() == caplog.messages  # they are in the run's environment.json, too


def test_a_replay_that_fails_in_mid_training_ends_the_recording(caplog):
    ours = rung(recorders.DiesLater())
    for seed in range(8):
        assert_right(ours, *SIZE, seed=seed)
    assert "unspecified launch failure" in caplog.records[0].message


def test_a_device_that_does_not_go_on_stops_the_work(caplog):
    ours = rung(recorders.NeverSettles())
    with pytest.raises(KernelError, match=r"illegal memory.*start again with kernel\.name=autog"):
        ours(*draw(*SIZE)[0], 1, None)
    assert "illegal memory access" in caplog.text  # the first error, not what came of it


def test_a_recording_that_becomes_wrong_stops_the_work(monkeypatch):
    monkeypatch.setattr(recordings, "COMPARED", 10)
    ours = rung(recorders.WrongLater())
    with torch.no_grad():
        for seed in range(7):  # and two plays before, which were compared
            ours(*draw(*SIZE, seed=seed)[0], 1, None)
        with pytest.raises(KernelError, match=r"other results after 10 calls"):
            ours(*draw(*SIZE)[0], 1, None)


def test_it_is_for_cuda():
    inputs, _ = draw(1, 2, 2, 1, 2, 1)
    with pytest.raises(ValueError, match="on cuda only"):
        conv_lstm(*inputs, pad_before=0, kernel=Kernel("cuda_graph"))
