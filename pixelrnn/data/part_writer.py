"""One converted array, written front to back: what it looks like, and its checksum."""

import hashlib
import math
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from pixelrnn.errors import DataError


class Part(NamedTuple):
    """What a converted array looks like."""

    shape: tuple[int, ...]
    dtype: str = "uint8"

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class PartWriter:
    """A .npy file written front to back, so that a full disc is an error and no signal.

    Args:
        file: where the array goes.
        part: its shape and dtype.
        folder: the folder of `file`, for temporary files beside it.
        title: name of the part, for messages.
    """

    def __init__(self, file: IO[bytes], part: Part, folder: Path, title: str) -> None:
        self.file = file
        self.shape, self.dtype = part
        self.folder = folder
        self.nbytes = part.nbytes
        self.title = title
        self.count = 0
        self.sha256 = hashlib.sha256()
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(self.dtype)),
            "fortran_order": False,
            "shape": self.shape,
        }
        np.lib.format.write_array_header_1_0(file, header)

    def write(self, entries: np.ndarray) -> None:
        """Append images, uint8 (n, C, H, W), or labels, int64 (n,).

        Raises:
            DataError: more of them than the set has.
            ValueError: another shape or dtype.
        """
        if entries.dtype != self.dtype or entries.shape[1:] != self.shape[1:]:
            raise ValueError(f"{self.title}: got {entries.dtype} {entries.shape}")
        self.count += len(entries)
        if self.count > self.shape[0]:
            raise DataError(f"{self.title}: expected {self.shape[0]:,} images, found more")
        data = np.ascontiguousarray(entries).data
        self.sha256.update(data)
        self.file.write(data)

    def check_count(self) -> None:
        """Refuse fewer images than the set has.

        Raises:
            DataError: says how many there are.
        """
        if self.count != self.shape[0]:
            raise DataError(
                f"{self.title}: expected {self.shape[0]:,} images, found {self.count:,}"
            )
