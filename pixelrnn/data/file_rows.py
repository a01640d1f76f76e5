"""Rows of a memory-mapped array, read from its file, so that a fault of the file is an error.

Who reads a page of a map that the file no longer has is killed by the system (SIGBUS), without a
word: another program may cut the file, a network folder may go away. `read` gives an error, the
open file stays readable when it is deleted or replaced, and its length and time say whether
somebody writes into it.
"""

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from pixelrnn import refused
from pixelrnn.errors import DataError

_GOES_ON = "put it back as it was; the same command then goes on"


class FileRows:
    """The rows of an array of a file: `rows[indices]`. Picklable: another process opens it anew.

    Args:
        path: the file.
        offset: byte at which row 0 begins.
        stride: bytes from one row to the next.
        shape: of the array: (N, ...); the bytes of one row lie together.
        dtype: of its values.
        seen: size and time of the file (`_look`), if it was looked at before; None: as it is now.

    Raises:
        DataError: the file cannot be read, is too short for the rows, or was changed since.
    """

    def __init__(
        self,
        path: str | Path,
        offset: int,
        stride: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        seen: tuple[int, int] | None = None,
    ) -> None:
        self.path = Path(path)
        self.shape = shape
        self.dtype = dtype
        self._offset, self._stride = offset, stride
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._refused(error) from error
        weakref.finalize(self, os.close, self._file)
        self._seen = self._look() if seen is None else seen
        self._require_unchanged()
        ends = [offset + row * stride + self._row_bytes for row in (0, len(self) - 1)]
        if max(ends) > self._seen[0]:
            raise DataError(f"{self.path}: is too short for its rows; {_GOES_ON}")

    @classmethod
    def of(cls, array: np.ndarray) -> "FileRows | None":
        """The rows of a read-only memory map, or of a part of one.

        None for every other array, and for a map without rows or with rows in pieces.
        """
        if not isinstance(array, np.memmap) or array.filename is None or array.mode != "r":
            return None
        if array.ndim == 0 or array.size == 0 or not array[:1].flags.c_contiguous:
            return None
        whole = array
        while isinstance(whole.base, np.memmap):
            whole = whole.base
        start = array.ctypes.data - whole.ctypes.data
        return cls(array.filename, whole.offset + start, array.strides[0], array.shape, array.dtype)

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """The rows of these numbers, int64 (b,), in this order: an array of its own (b, ...).

        Raises:
            DataError: the file was cut or written to, or the disc refuses.
        """
        order = np.argsort(indices, kind="stable")  # a cold disc likes to be read front to back
        rows = np.empty((len(order), *self.shape[1:]), self.dtype)
        for place, row in zip(order, indices[order], strict=True):
            self._read(int(row), rows[place : place + 1])
        self._require_unchanged()  # afterwards, so that it covers what was just read
        return rows

    def __getstate__(self) -> dict[str, Any]:
        """What opens the same file in another process, which finds it unchanged or refuses it."""
        return {
            "path": str(self.path),
            "offset": self._offset,
            "stride": self._stride,
            "shape": self.shape,
            "dtype": self.dtype,
            "seen": self._seen,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open what `__getstate__` names."""
        self.__init__(**state)  # type: ignore[misc]  # the very same construction

    def _read(self, row: int, into: np.ndarray) -> None:
        left = into.reshape(-1).view(np.uint8).data
        position = self._offset + row * self._stride
        while left:
            try:
                count = os.preadv(self._file, [left], position)
            except OSError as error:
                raise self._refused(error) from error
            if count == 0:
                self._require_unchanged()
                raise DataError(f"{self.path}: ends before row {row:,}; {_GOES_ON}")
            left, position = left[count:], position + count

    def _look(self) -> tuple[int, int]:
        try:
            found = os.fstat(self._file)
        except OSError as error:
            raise self._refused(error) from error
        return found.st_size, found.st_mtime_ns

    def _require_unchanged(self) -> None:
        size, time = self._look()
        if size != self._seen[0]:
            raise DataError(
                f"{self.path}: had {self._seen[0]:,} bytes and now has {size:,}: it was changed "
                f"while it was in use; {_GOES_ON}"
            )
        if time != self._seen[1]:
            raise DataError(
                f"{self.path}: was written to while it was in use, and images may differ from "
                f"those before; {_GOES_ON}"
            )

    def _refused(self, error: OSError) -> DataError:
        return DataError(f"{refused.line(error, self.path)}; the same command then goes on")
