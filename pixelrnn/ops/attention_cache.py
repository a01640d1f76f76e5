"""Attention of one position over a cache of all positions before it (`attention`).

Axes: `B` batch, `h` heads of the cache, `g` heads of one call, `N` positions that there is room
for, `K` width of a key, `V` width of a value.
"""

import ctypes
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelrnn.native import compiler
from pixelrnn.ops import recorded
from pixelrnn.ops.recorded import WATCHING

SOURCE = Path(__file__).with_suffix(".cpp")
LANES, VALUE_LANES = 16, 8  # as in attention_cache.cpp

Memory = tuple[Tensor, Tensor]
"""Keys and values, each with the axes B and h first."""


class Cache(ABC):
    """Keys and values of the positions that are known so far, in memory that somebody else keeps.

    Args:
        keys: as `start` makes them.
        values: alike.
        value_width: V.
        known: number of positions known, the first ones. What lies at others is not used.
    """

    def __init__(self, keys: Tensor, values: Tensor, value_width: int, known: int = 0) -> None:
        self.value_width = value_width

    @staticmethod
    @abstractmethod
    def start(like: Tensor, heads: int, widths: tuple[int, int], positions: int) -> Memory:
        """Make zeros for a cache.

        Args:
            like: (B, ...), whose dtype and device the cache has.
            heads: h.
            widths: K and V.
            positions: that there is room for, at least.
        """

    @staticmethod
    @abstractmethod
    def longer(keys: Tensor, values: Tensor, positions: int) -> Memory:
        """Copy what is in a cache to memory with room for `positions`, at least."""

    @abstractmethod
    def move(self, keys: Tensor, values: Tensor) -> None:
        """Go on in longer memory; what has been bound goes on with it."""

    @abstractmethod
    def attend(self, heads: slice, out: Tensor) -> Callable[[Tensor], None]:
        """Bind the attention of some heads.

        Args:
            heads: g of the cache's.
            out: (B, g, V), written: zeros while nothing is known. Images may lie apart, each is
                contiguous.

        Returns:
            A function of queries (B, g, K), alike.
        """

    @abstractmethod
    def remember(self, content: Tensor) -> Callable[[], None]:
        """Bind a function that takes in the next position.

        Args:
            content: (B, h * K + h * V), the keys of all heads, then their values; read whenever the
                function is called.
        """


def kind_for(like: Tensor) -> type[Cache]:
    """Return what serves tensors of this dtype and device.

    In float32 on a CPU an image's result is the same to the last bit in any batch and on any number
    of threads.
    """
    served = like.device.type == "cpu" and like.dtype == torch.float32
    ours = served and compiler.available(SOURCE, "attention at a position is torch's, and slower")
    return NativeCache if ours else PlainCache


class PlainCache(Cache):
    """See `Cache`; by torch, for all devices and dtypes. Keys (B, h, N, K), values (B, h, N, V)."""

    def __init__(self, keys: Tensor, values: Tensor, value_width: int, known: int = 0) -> None:
        super().__init__(keys, values, value_width)
        self.keys, self.values, self.known = keys, values, known

    @staticmethod
    def start(like: Tensor, heads: int, widths: tuple[int, int], positions: int) -> Memory:
        """See `Cache.start`."""
        first, second = (like.new_zeros(len(like), heads, positions, width) for width in widths)
        return first, second

    @staticmethod
    def longer(keys: Tensor, values: Tensor, positions: int) -> Memory:
        """See `Cache.longer`."""
        more = (0, 0, 0, max(0, positions - keys.shape[2]))
        return F.pad(keys, more), F.pad(values, more)

    def move(self, keys: Tensor, values: Tensor) -> None:
        """See `Cache.move`."""
        self.keys, self.values = keys, values

    def attend(self, heads: slice, out: Tensor) -> Callable[[Tensor], None]:
        """See `Cache.attend`."""
        scale = 1 / math.sqrt(self.keys.shape[-1])

        def attend(query: Tensor) -> None:
            recorded.refuse()
            if self.known == 0:
                out.zero_()
                return
            keys, values = (x[:, heads, : self.known] for x in (self.keys, self.values))
            scores = (query[:, :, None] @ keys.transpose(2, 3)) * scale  # (B, g, 1, known)
            out.copy_((scores.softmax(-1) @ values)[:, :, 0])

        return attend

    def remember(self, content: Tensor) -> Callable[[], None]:
        """See `Cache.remember`."""
        heads, width = self.keys.shape[1], self.keys.shape[-1]
        keys, values = content.split([heads * width, heads * self.value_width], dim=1)

        def remember() -> None:
            recorded.refuse()
            self.keys[:, :, self.known] = keys.unflatten(1, (heads, -1))
            self.values[:, :, self.known] = values.unflatten(1, (heads, -1))
            self.known += 1

        return remember


class _Cache(ctypes.Structure):
    """The struct Cache of attention_cache.cpp."""

    _fields_ = (
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("images", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("blocks", ctypes.c_int64),
        ("key_width", ctypes.c_int64),
        ("value_room", ctypes.c_int64),
        ("value_width", ctypes.c_int64),
        ("known", ctypes.c_int64),
        ("scale", ctypes.c_float),
    )


class _Asked(ctypes.Structure):
    """The struct Asked of attention_cache.cpp."""

    _fields_ = (
        ("first", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("query_stride", ctypes.c_int64),
        ("out_stride", ctypes.c_int64),
        ("out", ctypes.c_void_p),
    )


class NativeCache(Cache):
    """See `Cache`; one C++ call each, for float32 on CPUs. A recording is told of them.

    Keys are (B, h, N / LANES, K, LANES), values (B, h, N, V') with V rounded up to a multiple of
    `VALUE_LANES`; both are contiguous.

    Raises:
        CompilerError: There is no compiler, or it failed.
        ValueError: keys and values that the C++ code cannot read.
    """

    def __init__(self, keys: Tensor, values: Tensor, value_width: int, known: int = 0) -> None:
        super().__init__(keys, values, value_width)
        library = compiler.library(SOURCE)
        self._attend, self._remember = library.attend, library.remember
        self._cache = _Cache(known=known)
        self.move(keys, values)

    @staticmethod
    def start(like: Tensor, heads: int, widths: tuple[int, int], positions: int) -> Memory:
        """See `Cache.start`."""
        blocks, room = -(-positions // LANES), -(-widths[1] // VALUE_LANES) * VALUE_LANES
        keys = like.new_zeros(len(like), heads, blocks, widths[0], LANES)
        return keys, like.new_zeros(len(like), heads, blocks * LANES, room)

    @staticmethod
    def longer(keys: Tensor, values: Tensor, positions: int) -> Memory:
        """See `Cache.longer`."""
        more = max(0, -(-positions // LANES) - keys.shape[2])
        return F.pad(keys, (0, 0, 0, 0, 0, more)), F.pad(values, (0, 0, 0, more * LANES))

    def move(self, keys: Tensor, values: Tensor) -> None:
        """See `Cache.move`."""
        images, heads, blocks, key_width, _ = keys.shape
        room = -(-self.value_width // VALUE_LANES) * VALUE_LANES
        shapes = (images, heads, blocks, key_width, LANES), (images, heads, blocks * LANES, room)
        given = keys, values
        if tuple(x.shape for x in given) != shapes or any(
            x.dtype != torch.float32 or not x.is_contiguous() for x in given
        ):
            raise ValueError(f"no cache: {tuple(keys.shape)}, {tuple(values.shape)}")
        job, self._memory = self._cache, given  # known by address only
        job.keys, job.values = keys.data_ptr(), values.data_ptr()
        job.images, job.heads, job.blocks, job.key_width = images, heads, blocks, key_width
        job.value_room, job.value_width = room, self.value_width
        job.scale = 1 / math.sqrt(key_width)

    @property
    def known(self) -> int:
        """Number of positions known."""
        return self._cache.known

    def attend(self, heads: slice, out: Tensor) -> Callable[[Tensor], None]:
        """See `Cache.attend`."""
        first, stop, _ = heads.indices(self._cache.heads)
        shape = (self._cache.images, stop - first, self._cache.key_width)
        _check(out, (*shape[:2], self.value_width))

        def attend(query: Tensor) -> None:
            _check(query, shape)
            asked = _Asked(first, shape[1], query.stride(0), out.stride(0), out.data_ptr())
            self._call(self._attend, asked, query.flatten(1))

        return attend

    def remember(self, content: Tensor) -> Callable[[], None]:
        """See `Cache.remember`."""
        job = self._cache
        _check(content, (job.images, job.heads * (job.key_width + self.value_width)))
        stride = ctypes.c_int64(content.stride(0))

        def remember() -> None:
            if job.known == job.blocks * LANES:
                raise ValueError(f"a cache of {job.known} positions is full")
            self._call(self._remember, stride, content)

        return remember

    def _call(self, function: Any, second: Any, rows: Tensor) -> None:
        job = self._cache
        function(ctypes.byref(job), ctypes.byref(second), ctypes.byref(_address(rows)))
        if (watching := WATCHING.get()) is not None:
            watching.call(function, (job, second), (rows,))


def _address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _check(tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse another shape or dtype, and images whose features do not lie side by side."""
    if tensor.shape != shape or tensor.dtype != torch.float32:
        raise ValueError(f"expected float32 {shape}, got {tensor.dtype} {tuple(tensor.shape)}")
    if not all(image.is_contiguous() for image in tensor[:1]):
        raise ValueError("features of an image must lie side by side")
