"""A substep of a network at one position, recorded at two columns, then repeated by few calls.

A network of small layers at one position is bound by the calls of Python, not by arithmetic. What
is done there is the same at every column but for addresses, and buffers are cut evenly: those at
two columns give those at all. So a tape repeats products, cells, ReLU, sums, elementwise products
and other native functions by one call, functions of torch by torch, to the same bits as before.
"""

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from pixelrnn.native import compiler
from pixelrnn.ops.few_rows import SOURCE
from pixelrnn.ops.recorded import OPERANDS, Call, Kind, Recording

T = TypeVar("T")


class Instruction(ctypes.Structure):
    """The struct Instruction of few_rows.cpp."""

    _fields_ = (
        ("kind", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("given", ctypes.c_int64),
        ("weight", ctypes.c_void_p),
        ("function", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("second", ctypes.c_void_p),
        ("at", ctypes.c_int64 * OPERANDS),
        ("per_column", ctypes.c_int64 * OPERANDS),
        ("stride", ctypes.c_int64 * OPERANDS),
    )


class Tape:
    """Repeats what was recorded at one or two columns, at any column of the row.

    Args:
        one: a recording.
        column: where it was made.
        other: a second one, of another column; the first again if the row has one column.
        other_column: where that was made.
        out: what the first recording ended with, if anything.

    Raises:
        ValueError: one of them has failed, or they differ in more than addresses.
    """

    def __init__(
        self,
        one: Recording,
        column: int,
        other: Recording,
        other_column: int,
        out: Any = None,
    ) -> None:
        if one.failed or other.failed or len(one.calls) != len(other.calls):
            raise ValueError("what was recorded cannot be repeated")
        self.out = out
        library = compiler.library(SOURCE)
        self._run, self._run_down = library.run, library.run_down
        for function in (self._run, self._run_down):
            function.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._instructions = (Instruction * max(1, len(one.calls)))()
        self._keeps = one
        self._native_only = all(call.kind is not Kind.TORCH for call in one.calls)
        for to, call, same in zip(self._instructions, one.calls, other.calls, strict=False):
            if call.kind != same.kind or call.numbers.keys() != same.numbers.keys():
                raise ValueError("what was recorded differs from column to column")
            self._set(to, call, same, column, other_column)
        self.whole = self._segments(len(one.calls))
        self.remembering = self._segments(one.remembering)

    def __call__(self, column: int) -> Any:
        """Repeat all calls at a column."""
        for segment in self.whole:
            segment(column)
        return self.out

    def down_from(self, column: int) -> None:
        """Repeat all calls at a column, then at the one before, and so on down to the first."""
        if self._native_only:
            count = len(self._keeps.calls)
            self._run_down(ctypes.addressof(self._instructions), count, column)
        else:
            for at in range(column, -1, -1):
                self(at)

    def remember(self, column: int) -> None:
        """Repeat those calls that later columns depend on."""
        for segment in self.remembering:
            segment(column)

    def _set(self, to: Any, call: Call, same: Call, column: int, other_column: int) -> None:
        to.kind = call.kind
        for name, value in call.numbers.items():
            setattr(to, name, value)
        for index, (a, b) in enumerate(zip(call.operands, same.operands, strict=True)):
            if a.made != b.made or a.stride != b.stride:
                raise ValueError("what was recorded differs from column to column")
            to.stride[index] = a.stride
            if a.made is not None:
                to.at[index] = self._keeps.made[a.made].untyped_storage().data_ptr() + a.at
            elif column == other_column:
                to.at[index] = a.at
            else:
                per_column, rest = divmod(b.at - a.at, other_column - column)
                if rest:
                    raise ValueError("buffers are not cut evenly")
                to.per_column[index] = per_column
                to.at[index] = a.at - column * per_column

    def _segments(self, count: int) -> list[Callable[[int], Any]]:
        segments: list[Callable[[int], Any]] = []
        start = 0
        for end in range(count + 1):
            call = self._keeps.calls[end] if end < count else None
            if call is None or call.kind is Kind.TORCH:
                if end > start:
                    segments.append(self._native(start, end - start))
                if call is not None and call.kind is Kind.TORCH:
                    segments.append(_ignoring_column(call.torch))
                start = end + 1
        return segments

    def _native(self, start: int, count: int) -> Callable[[int], Any]:
        run, at = self._run, ctypes.addressof(self._instructions[start])
        return lambda column: run(at, count, column)


class Tapes:
    """The tapes of the colour groups of a network, each made when two columns were recorded.

    Args:
        groups: number of colour groups.
        width: number of columns.
        like: a weight, whose device and dtype say whether there are native calls to be repeated.

    Attributes:
        wanted: False once something was found that cannot be repeated.
    """

    def __init__(self, groups: int, width: int, like: Tensor) -> None:
        self.groups, self.width, self.like = groups, width, like
        served = like.device.type == "cpu" and like.dtype == torch.float32
        self.wanted = served and compiler.available(SOURCE, "steps are not repeated natively")
        self._tapes: list[Tape | None] = [None] * groups
        self._first: dict[int, tuple[Recording, int, Any]] = {}

    def anew(self) -> "Tapes":
        """Make tapes for other buffers of the same network."""
        new = Tapes(self.groups, self.width, self.like)
        new.wanted = self.wanted
        return new

    def tape(self, group: int) -> Tape | None:
        """Return the tape of a colour group, if there is one."""
        return self._tapes[group]

    def record(self, column: int, group: int, work: Callable[[Recording], T]) -> T:
        """Do the work of a substep, and record it.

        Args:
            column: where it is done.
            group: colour group.
            work: does it, given what is to be told; returns the parameters, or nothing.
        """
        with Recording() as recording:
            out: Any = work(recording)
        first, first_column, first_out = self._first.setdefault(group, (recording, column, out))
        if first_column == column and self.width > 1 and first is not recording:
            return out  # the same column of a later row teaches nothing new
        if first is recording and self.width > 1:
            return out
        try:
            if out is not None and not _in_one_place(first_out, out, recording):
                raise ValueError("the parameters lie elsewhere in each column")
            tape = Tape(first, first_column, recording, column, first_out)
        except ValueError:
            self.wanted = False
            return out
        self._tapes[group] = tape
        return out


def _in_one_place(one: Tensor | None, other: Tensor, recording: Recording) -> bool:
    """Whether two tensors, in their recordings, are the same at every column."""
    return recording.is_made(other) or (one is not None and one.data_ptr() == other.data_ptr())


def _ignoring_column(call: Callable[[], Any] | None) -> Callable[[int], Any]:
    assert call is not None
    return lambda column: call()
