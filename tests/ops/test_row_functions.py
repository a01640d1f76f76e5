"""Functions of few rows against their references, and the same bits whatever is beside a row."""

from functools import partial

import pytest
import torch

from pixelrnn import threads
from pixelrnn.layers import elu
from pixelrnn.native import compiler
from pixelrnn.ops import gates, recorded, row_functions
from pixelrnn.ops.recorded import Recording, plain, value
from pixelrnn.ops.tapes import Tapes

FUNCTIONS = {
    "ELU": (elu.elu, elu.reference),
    "gate": tuple(partial(f, squashed=True) for f in (gates.gated, gates.reference)),
    "linear gate": tuple(partial(f, squashed=False) for f in (gates.gated, gates.reference)),
}
EACH = pytest.mark.parametrize(("function", "reference"), FUNCTIONS.values(), ids=list(FUNCTIONS))
pytestmark = pytest.mark.usefixtures("_no_gradients")


@pytest.fixture
def _no_gradients():
    with torch.no_grad():
        yield


@EACH
@pytest.mark.parametrize("features", [2, 30, 32, 86, 128])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_they_are_their_references(function, reference, rows, features):
    wide = 3 * torch.randn(rows, features + 3)
    x, before = wide[:, 2:-1], wide.clone()
    assert row_functions.served(x)
    found, expected = function(x), reference(x.double())
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(wide, before)


def test_an_elu_keeps_its_digits_near_zero_and_far_below():
    x = torch.tensor([[-1e-30, -1e-8, -3e-4, -0.02, -0.3466, -0.35, -1.1, -20, -1e4, 0, 1e-8]])
    exact = elu.reference(x.double())
    assert ((row_functions.elu(x) - exact).abs() <= 2e-7 * exact.abs()).all()
    far = torch.tensor([[-torch.inf, torch.inf, torch.nan, 1e30]])
    assert torch.equal(row_functions.elu(far).nan_to_num(7), elu.reference(far).nan_to_num(7))


@EACH
def test_a_row_depends_neither_on_others_nor_on_threads_nor_on_where_it_lies(function, reference):
    x = torch.randn(700, 86)  # shared out among threads
    with threads.limited(3):
        together = function(x)
    with threads.limited(1):
        assert torch.equal(function(x), together)
        for row in (0, 13, 699):
            for offset in range(5):
                elsewhere = torch.empty(1, 96)[:, offset : offset + 86]
                elsewhere.copy_(x[row])
                assert torch.equal(function(elsewhere)[0], together[row])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_copies(dtype):
    wide, x = torch.zeros(3, 7, dtype=dtype), torch.randn(3, 9).to(dtype)
    row_functions.copy(x[:, 2:7], wide[:, 1:6])
    assert torch.equal(wide[:, 1:6], x[:, 2:7])
    assert not wide[:, [0, 6]].any()


@EACH
def test_repeated_at_other_columns_to_the_last_bit(function, reference):
    line, kept = torch.randn(4, 5, 6), torch.zeros(4, 3)
    tapes = Tapes(1, 5, line)

    def work(column, recording=None):
        x = line[:, column]
        y = function(x if recording is None else value(x, recording))  # an operation of a network
        found = function(plain(y) if y.shape[1] == 6 else x)  # and one of a step
        row_functions.copy(found[:, :3], kept)
        return found

    for column in (1, 3):
        tapes.record(column, 0, partial(work, column))
    for column in (0, 4, 2):
        expected, before = work(column), kept.clone()
        kept.zero_()
        assert torch.equal(tapes.tape(0)(column), expected)
        assert torch.equal(kept, before)


@EACH
def test_what_is_left_to_torch_is_not_repeated(monkeypatch, function, reference):
    x = torch.randn(4, 6)
    unserved = [x.double(), x.bfloat16(), torch.randn(6, 4).t(), torch.randn(2, 4, 6)]
    with Recording() as recording:
        assert row_functions.served(value(x, recording))
    for given in unserved:
        assert not row_functions.served(given)
        with Recording() as recording:
            assert torch.equal(function(given), reference(given))
        assert recording.failed
    with torch.enable_grad():
        assert not row_functions.served(x)
    monkeypatch.setattr(compiler, "_outcome", lambda _: "no C++ compiler")
    assert not row_functions.served(x)
    with Recording() as recording:
        row_functions.copy(x, torch.zeros(4, 6))
    assert recording.failed
    assert recorded.WATCHING.get() is None
