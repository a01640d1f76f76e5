"""Recorded work against the same work done call by call: to the last bit, or it is not repeated."""

import ctypes

import pytest
import torch
from torch.nn import functional as F

from pixelrnn.ops import recorded
from pixelrnn.ops.conv_lstm.single_position import advance_of
from pixelrnn.ops.few_rows import product
from pixelrnn.ops.recorded import Recording, added, plain, value
from pixelrnn.ops.tapes import Instruction, Tape, Tapes

ROWS, WIDTH = 5, 6


class Line:
    """Buffers of a row, and work on them that uses all that can be recorded."""

    def __init__(self, rows=ROWS, width=WIDTH, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator)

        self.weights = [product(normal(4, 8)), product(normal(12, 8)), product(normal(8, 3))]
        self.weights.append(product(normal(2, 3)))
        self.inputs = normal(rows, width, 4)
        self.line = normal(rows, (width + 2) * 4)
        self.terms = normal(rows, width, 8)
        self.cells, self.hidden = normal(rows, width, 2), normal(rows, width, 2)
        self.out = normal(rows, 3)

    def tensors(self):
        return [self.line, self.terms, self.cells, self.hidden, self.out]

    def work(self, column, recording=None):
        """A little network at one position; given a recording, on its values."""

        def v(tensor):
            return tensor if recording is None else value(tensor, recording)

        terms = self.terms[:, column]
        window = self.line[:, column * 4 :][:, :12]
        self.weights[1].place_and_add(terms, window[:, 4:8], window)(self.inputs[:, column])
        self.weights[1].add_window(terms, window)()
        hidden = advance_of(terms, self.cells[:, column], self.hidden[:, column])()
        seen = added(hidden, self.cells[:, column])
        if recording is not None:
            recording.remembering = len(recording.calls)
        x = v(terms).relu() + v(terms)
        a, b = x.chunk(2, dim=-1)
        y = a.tanh() * F.logsigmoid(b).exp()
        self.weights[0].add(terms, terms)(plain(v(self.terms[:, column, :4]) + y))
        self.weights[2].add(self.out)(plain(v(terms).relu()))
        self.weights[3].add(self.out)(seen)
        return self.out


def recording_at(line, column):
    with Recording() as recording:
        out = line.work(column, recording)
    return recording, out


@pytest.mark.parametrize("columns", [(0, 1), (1, 2), (0, 3), (4, 2)], ids=str)
@pytest.mark.parametrize("rows", [1, 5, 17])
def test_repeated_at_every_column_to_the_last_bit(rows, columns):
    line, expected = Line(rows), Line(rows)
    (one, out), (other, _) = (recording_at(line, column) for column in columns)
    assert not one.failed
    tape = Tape(one, columns[0], other, columns[1], out)
    for column in columns:
        expected.work(column)
    for column in (5, 0, 3, 5, 1):
        assert torch.equal(tape(column), expected.work(column))
        assert all(map(torch.equal, line.tensors(), expected.tensors()))


@pytest.mark.parametrize("native", [True, False])
def test_repeated_from_a_column_down_to_the_first(native):
    """With an operation of torch among the calls, and without."""
    lines = [Line(), Line()]

    def work(line, column, recording=None):
        if not native:
            return line.work(column, recording)
        line.weights[0].add(line.terms[:, column])(line.inputs[:, column])
        return advance_of(line.terms[:, column], line.cells[:, 0], line.hidden[:, column])()

    tapes = Tapes(1, WIDTH, lines[0].line)
    for column in (5, 4):
        tapes.record(
            column, 0, lambda recording, at=column: [work(lines[0], at, recording), None][1]
        )
    tapes.tape(0).down_from(3)
    for column in (5, 4, 3, 2, 1, 0):
        work(lines[1], column)
    assert all(map(torch.equal, lines[0].tensors(), lines[1].tensors()))


def test_what_is_not_asked_for_is_left_out():
    line, expected = Line(), Line()
    (one, out), (other, _) = recording_at(line, 0), recording_at(line, 1)
    tape = Tape(one, 0, other, 1, out)
    for column in (0, 1):
        expected.work(column)
    before = line.out.clone()
    tape.remember(3)
    expected.work(3)
    assert torch.equal(line.hidden, expected.hidden)
    assert torch.equal(line.cells, expected.cells)
    assert torch.equal(line.out, before)


def test_a_row_of_one_column_is_repeated_too():
    line, expected = Line(width=1), Line(width=1)
    tapes = Tapes(1, 1, torch.zeros(1))
    tapes.record(0, 0, lambda recording: line.work(0, recording))
    expected.work(0)
    for _ in range(3):
        assert torch.equal(tapes.tape(0)(0), expected.work(0))


def test_not_a_number_passes_through():
    line = Line()
    (one, out), (other, _) = recording_at(line, 0), recording_at(line, 1)
    tape = Tape(one, 0, other, 1, out)
    line.terms[2, 4, :] = float("nan")
    assert tape(4)[2].isnan().all()
    assert not tape(4)[[0, 1, 3, 4]].isnan().any()


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x.sigmoid(),
        lambda x: x * 2,
        lambda x: x - 1,
        lambda x: x + torch.ones(3),
        lambda x: torch.maximum(x, x),
        lambda x: F.relu(x),
        lambda x: x.tanh(),  # of what moves from column to column
        lambda x: x.double().float(),
        lambda x: x[:, :2],
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x.add(x, alpha=2),
        lambda x: x.relu_(),
    ],
)
def test_what_cannot_be_repeated_is_computed_all_the_same(operation):
    tensor = torch.randn(2, 4, 3)[:, 1]
    tapes = Tapes(1, 4, tensor)

    def work(recording):
        return plain(operation(value(tensor, recording)))

    for column in (0, 1):
        assert torch.equal(tapes.record(column, 0, work), operation(tensor))
    assert tapes.tape(0) is None
    assert not tapes.wanted


def test_a_sum_of_a_tensor_and_a_value_is_recorded_in_both_orders():
    a, b = torch.randn(2, 2, 3)
    with Recording() as recording:
        assert torch.equal((a + value(b, recording)).tensor, a + b)
        assert torch.equal((value(b, recording) + a).tensor, a + b)
    assert not recording.failed
    assert len(recording.calls) == 2


def test_rows_that_had_to_be_copied_are_not_repeated():
    weight, out = product(torch.randn(3, 2)), torch.zeros(4, 2)
    with Recording() as recording:
        weight.add(out)(torch.randn(3, 4).t())
    assert recording.failed


LATER = {  # what is done at the second column instead of a sum
    "more": lambda x, other: x + other + other,
    "another operation": lambda x, other: x * other,
    "another stride": lambda x, other: x + torch.zeros(2, 6)[:, :3],
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_columns_that_differ_in_more_than_addresses_are_refused(later):
    tensor, other = torch.randn(2, 2, 3)

    def at(column):
        with Recording() as recording:
            out = value(tensor, recording).relu()
            return recording, plain(later(out, other) if column else out + other)

    (one, out), (second, _) = at(0), at(1)
    with pytest.raises(ValueError, match=r"repeated|differs"):
        Tape(one, 0, second, 1, out)


def test_addresses_that_no_whole_number_of_bytes_apart_are_refused():
    floats = torch.randn(40)

    def at(column):
        with Recording() as recording:
            return recording, plain(value(floats[column * 7 :][:6].view(2, 3), recording).relu())

    (one, out), (other, _) = at(0), at(3)
    tape = Tape(one, 0, other, 3, out)
    assert torch.equal(tape(2), floats[14:20].view(2, 3).relu())
    other.calls[0].operands[0].at += 1
    with pytest.raises(ValueError, match="evenly"):
        Tape(one, 0, other, 3, out)


def test_an_error_ends_the_recording():
    def work(recording):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tapes(1, 3, torch.zeros(1)).record(0, 0, work)
    assert recorded.WATCHING.get() is None


def test_float64_and_other_devices_are_not_recorded():
    assert not Tapes(1, 3, torch.zeros(1, dtype=torch.float64)).wanted
    assert not Tapes(1, 3, torch.zeros(1, device="meta")).wanted


def test_the_instruction_is_laid_out_as_in_the_source():
    assert ctypes.sizeof(Instruction) == 8 * (5 + 4 + 3 * 5)
