"""Whether `auto` takes graphs, with recorders that run on a CPU and measurements that are given."""

import math

import pytest
import torch

from pixelrnn.errors import KernelError
from pixelrnn.ops import choices, self_check, timing
from pixelrnn.ops.conv_lstm import graph_choice, loops, recordings
from pixelrnn.ops.conv_lstm.interfaces import Call
from tests.ops.conv_lstm import recorders
from tests.ops.conv_lstm.test_autograd import FROZEN, draw

CPU = torch.device("cpu")


def call(batch=2, frozen=None, dtype=torch.float32, features=3):
    inputs, _ = draw(1, 4, 3, batch, features, 2, dtype)
    return Call(*inputs, 1, None if frozen is None else FROZEN[frozen](4, 3))


def trials(recorder=None, gain=2.0, **settings):
    def measure(candidates, wait):
        for run in candidates.values():
            run()
        return {"plain": gain, "graphs": 1.0}

    given = recorder or recorders.Honest()
    return graph_choice.Trials(given, measure, **{"patience": 1, **settings})


@pytest.fixture(autouse=True)
def _nothing_noted():
    choices.forget()
    yield
    choices.forget()


@pytest.mark.parametrize("frozen", [None, "skewed"])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_right_and_faster_graphs_are_taken(dtype, grad, frozen):
    with torch.set_grad_enabled(grad):
        assert trials().objection(call(frozen=frozen, dtype=dtype), "none") is None
    (line,) = choices.lines()
    assert "2.00 times as fast, used" in line
    assert "errors up to" in line


def test_slower_graphs_are_not_taken():
    assert trials(gain=0.8).objection(call(), "none") == "graphs are 0.80 times as fast"
    assert choices.lines()[0].endswith("0.80 times as fast, not used")


@pytest.mark.parametrize("hostile", [recorders.WrongForOneWidth, recorders.WrongLater])
def test_wrong_graphs_are_not_taken(hostile, monkeypatch):
    """Even if they pass the check of each recording, as with a fault in this room's own code."""
    monkeypatch.setattr(recordings.Recording, "verify", lambda *_: None)
    asked = trials(hostile())
    why = asked.objection(call(features=5), "none")
    assert "graphs are wrong here" in why
    assert "wrong, not used" in choices.lines()[0]


def test_graphs_are_checked_for_the_width_in_use(monkeypatch):
    monkeypatch.setattr(recordings.Recording, "verify", lambda *_: None)
    asked = trials(recorders.WrongForOneWidth())
    assert asked.objection(call(features=3), "none") is None
    assert "wrong" in asked.objection(call(features=5), "none")


def test_a_shape_is_tried_when_it_was_met_often_enough():
    recorder = recorders.Honest()
    asked = trials(recorder, patience=3)
    answers = [asked.objection(call(batch), "none") for batch in (1, 1, 2, 1, 1)]
    assert [bool(answer) for answer in answers] == [True, True, True, False, False]
    assert "met 3 times" in answers[0]


def test_each_width_is_checked_once_and_each_shape_measured_once(monkeypatch):
    checked = []
    honest = self_check.check
    monkeypatch.setattr(
        graph_choice.self_check, "check", lambda *x: (checked.append(x), honest(*x))[1]
    )
    asked = trials()
    for batch in (1, 2, 1, 2):
        assert asked.objection(call(batch), "none") is None
    assert len(checked) == 1
    assert asked.objection(call(features=4), "none") is None
    assert len(checked) == 2


def test_what_is_measured_does_not_decide_where_runs_must_repeat():
    torch.use_deterministic_algorithms(True)
    try:
        assert "deterministic" in trials().objection(call(), "none")
    finally:
        torch.use_deterministic_algorithms(False)


def test_too_little_memory_for_both_means_no_graphs():
    def measure(candidates, wait):
        raise torch.OutOfMemoryError("CUDA out of memory")

    asked = graph_choice.Trials(recorders.Honest(), measure, patience=1)
    assert "timing graphs failed: CUDA out of memory" in asked.objection(call(), "none")


@pytest.mark.parametrize("hostile", [recorders.NeverSettles, recorders.OnlySettlesRaise])
def test_a_device_that_does_not_go_on_stops_the_work(hostile):
    def measure(candidates, wait):
        raise RuntimeError("CUDA error: misaligned address")

    asked = graph_choice.Trials(hostile(), measure, patience=1)
    with pytest.raises(KernelError, match="does not go on after"):
        asked.objection(call(), "none")


def test_a_proof_says_how_large_the_error_is():
    proof = trials().proof(3, 2, 2, torch.float32, CPU, held=True, compile="none")
    assert proof.fault is None
    assert 0 < proof.error < 1e-5
    broken = trials(recorders.RefusesToRecord())
    nothing = broken.proof(3, 2, 2, torch.float32, CPU, held=True, compile="none")
    assert "not permitted" in nothing.fault  # the plain loops are right, but no graph was checked
    assert math.isinf(nothing.error)


def test_both_loops_are_measured(monkeypatch):
    """Forward alone where no gradient is wanted."""
    plain, ran = loops.line_by_line("none", "cpu", torch.float32), []
    noted = loops.Loops(
        lambda *x: (ran.append("forward"), plain.forward(*x))[1],
        lambda *x: (ran.append("backward"), plain.backward(*x))[1],
    )
    for training in (True, False):
        graph_choice.run_loops(noted, call(frozen="skewed"), torch.float32, training)
    assert ran == ["forward", "backward", "forward"]


def test_medians_are_of_turns_next_to_each_other(monkeypatch):
    ran = []
    times = iter(range(100))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(times))
    found = timing.medians({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, turns=2)
    assert "".join(ran) == "ab" + "abab"
    assert found == {"a": 1, "b": 1}
