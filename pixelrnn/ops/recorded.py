"""Work on few rows, recorded while it is done, so that `tapes` can repeat it.

Recorded are products, cells, attention and functions of rows (`few_rows`, `conv_lstm.native_cell`,
`attention_cache`, `row_functions`), which tell `WATCHING`, and elementwise operations on a `Value`.
Anything else makes the recording fail; what is computed is the same whether somebody records it or
not.

Axes: `B` rows, `F` features.
"""

import ctypes
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

WATCHING: ContextVar["Recording | None"] = ContextVar("WATCHING", default=None)
"""The recording that products, cells and `added` tell what they do."""

OPERANDS = 5
"""Of a call at most."""


class Kind(IntEnum):
    """What a call is, as in few_rows.cpp; torch's are not among its own."""

    TORCH = -1
    PRODUCT = 0
    PLACE = 1
    RELU = 2
    ADD = 3
    MULTIPLY = 4
    CALL = 5


class Operand:
    """Where rows lie: in memory that a recording has made, or that somebody else keeps.

    Attributes:
        made: number of the tensor that the recording has made; None: somebody else's memory.
        at: address; in what the recording has made, bytes from its beginning.
        stride: elements from row to row.
    """

    __slots__ = ("at", "made", "stride")

    def __init__(self, made: int | None, at: int | None, stride: int = 0) -> None:
        self.made, self.at, self.stride = made, at or 0, stride  # ctypes says None for 0


class Call:
    """A native call, or one of torch.

    Attributes:
        kind: see `Kind`.
        numbers: fields of the instruction.
        operands: in the order of few_rows.cpp.
        torch: does the call of torch again.
        keeps: what must stay alive.
    """

    __slots__ = ("keeps", "kind", "numbers", "operands", "torch")

    def __init__(
        self,
        kind: Kind,
        numbers: dict[str, int],
        operands: list[Operand],
        torch: Callable[[], Any] | None = None,
        keeps: Any = None,
    ) -> None:
        self.kind, self.numbers, self.operands = kind, numbers, operands
        self.torch, self.keeps = torch, keeps


class Recording:
    """What is done at one column, in order. A context manager: while it is open it is told.

    Attributes:
        failed: something was done that cannot be repeated.
        remembering: how many of the calls matter at later columns.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.made: list[Tensor] = []
        self.failed = False
        self.remembering = 0
        self._numbers: dict[int, int] = {}  # address of what was made -> its number

    def __enter__(self) -> "Recording":
        """Begin to listen."""
        self._token = WATCHING.set(self)
        return self

    def __exit__(self, *_: Any) -> None:
        """Listen no more."""
        WATCHING.reset(self._token)

    def product(self, job: Any, x: Tensor, keeps: Any) -> None:
        """Record `out = start + x @ weight` (`few_rows._Job`)."""
        operands = [*_ends(job), self._operand(x)]
        self.calls.append(Call(Kind.PRODUCT, _sizes(job), operands, keeps=keeps))

    def window(self, job: Any, window: int, stride: int, keeps: Any) -> None:
        """Record `out = out + window @ weight`."""
        operands = [*_ends(job), Operand(None, window, stride)]
        self.calls.append(Call(Kind.PRODUCT, _sizes(job), operands, keeps=keeps))

    def place(self, job: Any, place: Any, x: Tensor, keeps: Any) -> None:
        """Record that x goes to its place before the window is multiplied (`few_rows._Place`)."""
        operands = [
            *_ends(job),
            Operand(None, place.window, place.window_stride),
            Operand(None, place.to, place.to_stride),
            self._operand(x),
        ]
        sizes = _sizes(job) | {"given": place.given}
        self.calls.append(Call(Kind.PLACE, sizes, operands, keeps=keeps))

    def cell(self, function: Any, arguments: Any, keeps: Any) -> None:
        """Record a forward pass of a cell (`native_cell.bound_forward`)."""
        *sizes, pointers = arguments
        operands = [Operand(None, pointers[i]) for i in range(OPERANDS)]
        self._call(function, sizes, operands, (arguments, keeps))

    def call(
        self, function: Any, sizes: Sequence[Any], inputs: Sequence[Tensor], *made: Tensor
    ) -> None:
        """Record a native function `(first, second, addresses)` of rows.

        Args:
            function: of ctypes.
            sizes: first and second, structures or arrays of ctypes, the same at every column. What
                they say is read whenever the call is repeated.
            inputs: tensors (B, F) whose addresses it is given, in this order: what this recording
                has made, or what somebody else keeps.
            made: tensors that it has just made; their addresses come last.
        """
        for out in made:
            self._make(out)
        self._call(function, sizes, [self._operand(x) for x in (*inputs, *made)], sizes)

    def _call(
        self, function: Any, sizes: Sequence[Any], operands: list[Operand], keeps: Any
    ) -> None:
        address = ctypes.cast(function, ctypes.c_void_p).value or 0
        first, second = (ctypes.addressof(size) for size in sizes)
        numbers = {"function": address, "first": first, "second": second}
        self.calls.append(Call(Kind.CALL, numbers, operands, keeps=keeps))

    def elementwise(self, kind: Kind, out: Tensor, *inputs: Tensor) -> Tensor:
        """Record an operation that has just made `out` of inputs of the same shape."""
        if out.dim() != 2 or any(x.shape != out.shape or not _plain(x) for x in inputs):
            self.failed = True
            return out
        self._make(out)
        sizes = {"rows": out.shape[0], "outputs": out.shape[1]}
        operands = [self._operand(x) for x in (*inputs, out)]
        self.calls.append(Call(kind, sizes, operands))
        return out

    def of_torch(self, function: Callable[[Tensor], Tensor], out: Tensor, x: Tensor) -> Tensor:
        """Record an operation of torch that has made `out` of what this recording has made."""
        self.failed |= self._operand(x).made is None
        self._make(out)
        self.calls.append(Call(Kind.TORCH, {}, [], lambda: out.copy_(function(x))))
        return out

    def is_made(self, x: Tensor) -> bool:
        """Whether a tensor lies in memory that this recording has made."""
        return self._operand(x).made is not None

    def _make(self, out: Tensor) -> None:
        self._numbers[out.untyped_storage().data_ptr()] = len(self.made)
        self.made.append(out)

    def _operand(self, x: Tensor) -> Operand:
        start = x.untyped_storage().data_ptr()
        number, stride = self._numbers.get(start), x.stride(0)
        at = x.data_ptr()
        return Operand(number, at if number is None else at - start, stride)


def _plain(x: Tensor) -> bool:
    return x.dtype == torch.float32 and (x.shape[1] <= 1 or x.stride(1) == 1)


def _sizes(job: Any) -> dict[str, int]:
    return {name: getattr(job, name) for name in ("rows", "inputs", "outputs", "weight")}


def _ends(job: Any) -> list[Operand]:
    return [Operand(None, job.start, job.start_stride), Operand(None, job.out, job.out_stride)]


class Value(Tensor):
    """A tensor (B, F) on which elementwise operations are done and recorded.

    relu, sums and products of two tensors, tanh, exp and log sigmoid are recorded, and views by
    `chunk` and `split`. Any other operation is done on the tensor, and makes the recording fail.
    """

    tensor: Tensor
    recording: Recording

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do a function of torch, and record it."""
        with torch._C.DisableTorchFunctionSubclass():
            given = [arg for arg in args if isinstance(arg, Value)]
            parts = [plain(arg) for arg in args]
            out = func(*parts, **(kwargs or {}))
            if not given:
                return out
            return _recorded(func.__name__, given[0].recording, out, parts, bool(kwargs))


def value(tensor: Tensor, recording: Recording) -> Value:
    """Return a tensor on which operations are recorded."""
    found = tensor.as_subclass(Value)
    found.tensor, found.recording = tensor, recording
    return found


_NATIVE = {
    "relu": Kind.RELU,
    **dict.fromkeys(("add", "__add__", "__radd__"), Kind.ADD),
    **dict.fromkeys(("mul", "__mul__", "__rmul__"), Kind.MULTIPLY),
}
_OF_TORCH = {"tanh": torch.tanh, "exp": torch.exp, "log_sigmoid": F.logsigmoid}
_SAYS_SHAPE = ("__get__", "dim", "size", "stride", "numel", "is_floating_point")


def _recorded(name: str, recording: Recording, out: Any, parts: list[Any], more: bool) -> Any:
    """Record what a function of torch has made of the parts, if it can be repeated."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if name in _SAYS_SHAPE and not isinstance(out, Tensor):
        return out
    if name in ("chunk", "split"):
        return [value(part, recording) for part in out]
    if not more and len(tensors) == len(parts):
        if name in _NATIVE:
            return value(recording.elementwise(_NATIVE[name], out, *tensors), recording)
        if name in _OF_TORCH and len(tensors) == 1:
            return value(recording.of_torch(_OF_TORCH[name], out, *tensors), recording)
    recording.failed = True
    return out


def plain(x: Any) -> Any:
    """Return the tensor of a value; all else as it is."""
    return x.tensor if isinstance(x, Value) else x


def refuse() -> None:
    """Tell a recording, if there is one, of something that cannot be repeated."""
    if (watching := WATCHING.get()) is not None:
        watching.failed = True


def added(a: Tensor, b: Tensor) -> Tensor:
    """Compute a + b, which a recording is told of: for steps that add by themselves."""
    out, watching = a + b, WATCHING.get()
    return out if watching is None else watching.elementwise(Kind.ADD, out, a, b)
