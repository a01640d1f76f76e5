"""Products of few rows with a weight that stays: what a walk over positions consists of.

A batch of 16 is few rows for the weight of a layer. A matrix library lays that weight out anew in
every call, and looks up whatever it is given; here both are done once.

Axes: `B` rows, `I` inputs, `O` outputs.
"""

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.native import compiler

SOURCE = Path(__file__).with_suffix(".cpp")
PANEL = 32  # as in few_rows.cpp

Add = Callable[[Tensor], None]


class Product(ABC):
    """`start + x @ weight`, for one weight (I, O)."""

    def onto(
        self,
        out: Tensor,
        *,
        start: Tensor | None = None,
        window: Tensor | None = None,
        place: Tensor | None = None,
    ) -> Add:
        """A function of x that writes `start + x @ weight` into `out`.

        Args:
            out: (B, O); features contiguous, as in all tensors here.
            start: (B, O) or (O,); None: `out` itself, which is then added to.
            window: (B, I), multiplied instead of x.
            place: x is copied here before the product; it may lie inside the window.
        """
        return self._add(out, out if start is None else start.expand_as(out), window, place)

    @abstractmethod
    def _add(
        self, out: Tensor, start: Tensor, window: Tensor | None, place: Tensor | None
    ) -> Add: ...


def product(weight: Tensor) -> Product:
    """The fastest there is for this weight: on a CPU in float32 our own, elsewhere torch's."""
    served = weight.device.type == "cpu" and weight.dtype == torch.float32
    ours = served and compiler.available(SOURCE, "products of few rows are torch's, twice as slow")
    return NativeProduct(weight) if ours else PlainProduct(weight)


class PlainProduct(Product):
    """See `Product`; by torch, for all devices and dtypes."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight.contiguous()

    def _add(self, out: Tensor, start: Tensor, window: Tensor | None, place: Tensor | None) -> Add:
        def add(x: Tensor) -> None:
            if place is not None:
                place.copy_(x)
            factor = x if window is None else window
            torch.addmm(start, factor, self.weight, out=out)

        return add


class _Job(ctypes.Structure):
    """struct Job of few_rows.cpp."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("start", ctypes.c_void_p),
        ("start_stride", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("out_stride", ctypes.c_int64),
        ("window", ctypes.c_void_p),
        ("window_stride", ctypes.c_int64),
        ("place", ctypes.c_void_p),
        ("place_stride", ctypes.c_int64),
        ("given", ctypes.c_int64),
    )


class NativeProduct(Product):
    """See `Product`; one C++ call, for float32 on CPUs.

    A row's result is the same to the last bit whatever the other rows, and on any number of
    threads.

    Raises:
        CompilerError: no compiler, or it failed.
    """

    def __init__(self, weight: Tensor) -> None:
        self.run = compiler.library(SOURCE).add_product
        self.run.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self.inputs, self.outputs = weight.shape
        panels = -(-self.outputs // PANEL)
        padded = weight.new_zeros(self.inputs, panels * PANEL)
        padded[:, : self.outputs] = weight
        self.packed = padded.unflatten(1, (panels, PANEL)).transpose(0, 1).contiguous()

    def _add(self, out: Tensor, start: Tensor, window: Tensor | None, place: Tensor | None) -> Add:
        rows = len(out)
        tensors = {"out": out, "start": start, "window": window, "place": place}
        job = _Job(self.packed.data_ptr(), rows, self.inputs, self.outputs)
        for name, tensor in tensors.items():
            if tensor is not None:
                setattr(job, name, tensor.data_ptr())
                setattr(job, f"{name}_stride", _row_stride(tensor))
        job.given = self.inputs if place is None else place.shape[1]
        shape, address, run = (rows, job.given), ctypes.addressof(job), self.run
        reads_x = window is None or place is not None

        kept = self.packed, job, tensors  # as long as their addresses are used

        def add(x: Tensor, _kept: object = kept) -> None:
            if not reads_x:
                run(address, None, 0)
                return
            if x.shape != shape or x.dtype != torch.float32:
                raise ValueError(f"expected float32 {shape}, got {x.dtype} {tuple(x.shape)}")
            stride, step = x.stride()
            if step != 1:
                x = x.contiguous()
                stride = shape[1]
            run(address, x.data_ptr(), stride)

        return add


def _row_stride(tensor: Tensor) -> int:
    if tensor.dtype != torch.float32 or (tensor.shape[1] > 1 and tensor.stride(1) != 1):
        raise ValueError("rows must be float32 and contiguous")
    return tensor.stride(0)
