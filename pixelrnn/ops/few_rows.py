"""Products of few rows with a weight that stays: what a walk over positions consists of.

They exist for two reasons. First, a row's result is the same to the last bit in any batch and on
any number of threads: a matrix library chooses its order of summation by the number of rows, so
that an image would depend on its batch, and a code on the batch it was encoded in. Second, speed:
a batch of 16 is few rows for the weight of a layer, and a library lays that weight out anew in
every call, and looks up whatever it is given; here both are done once.

Axes: `B` rows, `I` inputs, `O` outputs.
"""

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from pixelrnn.native import compiler
from pixelrnn.ops.recorded import WATCHING, refuse

SOURCE = Path(__file__).with_suffix(".cpp")

PANEL = 16  # as in few_rows.cpp

Call = Callable[[], None]
Add = Callable[[Tensor], None]
Bound = TypeVar("Bound", Call, Add)


class Product(ABC):
    """`x @ weight` for one weight (I, O), added to buffers that stay where they are.

    Each method binds buffers once and returns a function that does the work as often as it is
    called. Features are contiguous in all tensors here; rows may lie apart.
    """

    @abstractmethod
    def add(self, out: Tensor, start: Tensor | None = None) -> Add:
        """Bind a function of x that writes `start + x @ weight` into `out`.

        Args:
            out: (B, O).
            start: (B, O) or (O,); None: `out` itself, which is then added to.
        """

    @abstractmethod
    def add_window(self, out: Tensor, window: Tensor) -> Call:
        """Bind a function that writes `out + window @ weight` into `out`.

        Args:
            out: (B, O).
            window: (B, I).
        """

    @abstractmethod
    def place_and_add(self, out: Tensor, place: Tensor, window: Tensor) -> Add:
        """Bind a function of x: x is copied to `place`, then `out + window @ weight` goes to `out`.

        Args:
            out: (B, O).
            place: (B, n), where x, (B, n), is copied to; it may lie inside the window.
            window: (B, I).
        """


def product(weight: Tensor) -> Product:
    """Prepare the fastest for a weight: on a CPU in float32 our own, elsewhere torch's."""
    served = weight.device.type == "cpu" and weight.dtype == torch.float32
    ours = served and compiler.available(SOURCE, "products of few rows are torch's, twice as slow")
    return NativeProduct(weight) if ours else PlainProduct(weight)


class PlainProduct(Product):
    """See `Product`; by torch, for all devices and dtypes."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight.contiguous()

    def add(self, out: Tensor, start: Tensor | None = None) -> Add:
        """See `Product.add`."""
        first = out if start is None else start.expand_as(out)

        def add(x: Tensor) -> None:
            torch.addmm(first, x, self.weight, out=out)

        return add

    def add_window(self, out: Tensor, window: Tensor) -> Call:
        """See `Product.add_window`."""

        def add() -> None:
            torch.addmm(out, window, self.weight, out=out)

        return add

    def place_and_add(self, out: Tensor, place: Tensor, window: Tensor) -> Add:
        """See `Product.place_and_add`."""

        def add(x: Tensor) -> None:
            place.copy_(x)
            torch.addmm(out, window, self.weight, out=out)

        return add


class _Job(ctypes.Structure):
    """The struct Job of few_rows.cpp."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("start", ctypes.c_void_p),
        ("start_stride", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("out_stride", ctypes.c_int64),
    )


class _Place(ctypes.Structure):
    """The struct Place of few_rows.cpp."""

    _fields_ = (
        ("to", ctypes.c_void_p),
        ("to_stride", ctypes.c_int64),
        ("given", ctypes.c_int64),
        ("window", ctypes.c_void_p),
        ("window_stride", ctypes.c_int64),
    )


class NativeProduct(Product):
    """See `Product`; one C++ call, for float32 on CPUs.

    A row's result is the same to the last bit whatever the other rows, and on any number of
    threads.

    Raises:
        CompilerError: no compiler, or it failed.
    """

    def __init__(self, weight: Tensor) -> None:
        library = compiler.library(SOURCE)
        self._add, self._place_and_add = library.add, library.place_and_add
        self._add.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self._place_and_add.argtypes = (ctypes.c_void_p, *self._add.argtypes)
        self.inputs, self.outputs = weight.shape
        panels = -(-self.outputs // PANEL)
        padded = weight.new_zeros(self.inputs, panels * PANEL)
        padded[:, : self.outputs] = weight
        self.packed = padded.unflatten(1, (panels, PANEL)).transpose(0, 1).contiguous()

    def add(self, out: Tensor, start: Tensor | None = None) -> Add:
        """See `Product.add`."""
        first = out if start is None else start.expand_as(out)
        job, run, shape = self._job(out, first), self._add, (len(out), self.inputs)
        address = ctypes.addressof(job)

        def add(x: Tensor) -> None:
            stride, step = x.stride()
            if step != 1 or x.shape != shape or x.dtype != torch.float32:
                x = _checked_copy(x, shape)
                stride = x.stride(0)
            run(address, x.data_ptr(), stride)
            if (watching := WATCHING.get()) is not None:
                watching.product(job, x, add)

        return _keeping(add, self.packed, job, out, first)

    def add_window(self, out: Tensor, window: Tensor) -> Call:
        """See `Product.add_window`."""
        job, run = self._job(out, out), self._add
        arguments = (ctypes.addressof(job), window.data_ptr(), _row_stride(window))

        def add() -> None:
            run(*arguments)
            if (watching := WATCHING.get()) is not None:
                watching.window(job, arguments[1], arguments[2], add)

        return _keeping(add, self.packed, job, out, window)

    def place_and_add(self, out: Tensor, place: Tensor, window: Tensor) -> Add:
        """See `Product.place_and_add`."""
        job, run, shape = self._job(out, out), self._place_and_add, (len(out), place.shape[1])
        where = _Place(
            place.data_ptr(), _row_stride(place), shape[1], window.data_ptr(), _row_stride(window)
        )
        job_at, place_at = ctypes.addressof(job), ctypes.addressof(where)

        def add(x: Tensor) -> None:
            stride, step = x.stride()
            if step != 1 or x.shape != shape or x.dtype != torch.float32:
                x = _checked_copy(x, shape)
                stride = x.stride(0)
            run(job_at, place_at, x.data_ptr(), stride)
            if (watching := WATCHING.get()) is not None:
                watching.place(job, where, x, add)

        return _keeping(add, self.packed, job, where, out, place, window)

    def _job(self, out: Tensor, start: Tensor) -> _Job:
        return _Job(
            self.packed.data_ptr(),
            len(out),
            self.inputs,
            self.outputs,
            start.data_ptr(),
            _row_stride(start),
            out.data_ptr(),
            _row_stride(out),
        )


def _keeping(function: Bound, *owners: object) -> Bound:
    """Return the function, which now keeps alive what it knows by address only."""
    function.kept = owners  # type: ignore[attr-defined]
    return function


def _checked_copy(x: Tensor, shape: tuple[int, int]) -> Tensor:
    """Copy x so that its features are contiguous; refuse a wrong shape or dtype."""
    if x.shape != shape or x.dtype != torch.float32:
        raise ValueError(f"expected float32 {shape}, got {x.dtype} {tuple(x.shape)}")
    refuse()  # the copy will lie elsewhere the next time
    return x.clone(memory_format=torch.contiguous_format)


def _row_stride(tensor: Tensor) -> int:
    if tensor.dtype != torch.float32 or (tensor.shape[1] > 1 and tensor.stride(1) != 1):
        raise ValueError("rows must be float32 and contiguous")
    return tensor.stride(0)
