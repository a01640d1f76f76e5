"""Maps of codes in a file of the user's own, and the labels in another.

A file is mapped and read block by block; nothing is unpickled. Axes: `N` maps, `C` channels, `H W`
map.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pixelrnn import symbols
from pixelrnn.data.disk import explained
from pixelrnn.data.own import inventory, shares
from pixelrnn.errors import DataError

_BLOCK = 2**22  # codes that are in memory at once
_MOST_CLASSES = 2**16  # where there are fewer maps; each number up to the largest label is a class
_EXPECTED = "expected an array .npy of integers (N, H, W) or (N, C, H, W)"


class CodeMaps:
    """The maps of one file, of any integer dtype.

    Attributes:
        path: of the file.
        maps: (N, C, H, W), mapped.
        digest: SHA-256 of the file.

    Args:
        path: see above.
        root: folder of all data, where the index of checksums lies.

    Raises:
        DataError: there is no such file, or it is no array of such maps.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self._root = path, root
        self._mapped()  # what holds no maps is refused before gigabytes are read for a checksum
        self._inventory = inventory.look_at(path, root)
        self.digest = self._inventory.digest
        self.maps = self._mapped()  # a map made before might be of a file that was replaced since

    def _mapped(self) -> np.ndarray:
        """The maps as they lie in the file: (N, C, H, W).

        Raises:
            DataError: see the class.
        """
        maps = loaded(self.path, _EXPECTED)
        if maps.dtype.kind not in "iu" or maps.ndim not in (3, 4) or not maps.size:
            hint = "; whole numbers are saved by array.astype(int)" * (maps.dtype.kind == "f")
            raise DataError(f"{self.path}: {_EXPECTED}, found {maps.dtype} {maps.shape}{hint}")
        return maps[:, None] if maps.ndim == 3 else maps

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a map."""
        _, channels, height, width = self.maps.shape
        return channels, height, width

    def blocks(self) -> Iterator[np.ndarray]:
        """All maps in order, some at a time."""
        size = max(1, _BLOCK // int(np.prod(self.shape)))
        for start in range(0, len(self.maps), size):
            yield self.maps[start : start + size]

    def largest(self) -> int:
        """The largest code.

        Raises:
            DataError: a code is below 0, or larger than codes may be.
        """
        largest = 0
        for block in self.blocks():
            least, most = int(block.min()), int(block.max())
            if least < 0 or most >= symbols.MOST_LEVELS:
                wrong = least if least < 0 else most
                raise DataError(
                    f"{self.path}: codes must be in [0, {symbols.MOST_LEVELS}), found {wrong}"
                )
            largest = max(largest, most)
        return largest

    def places(self) -> np.ndarray:
        """Where each map lies in [0, 1), by a hash of its codes (`shares`): float64 (N,)."""
        wide = (np.ascontiguousarray(block, "<u2") for block in self.blocks())
        found = [shares.place(codes) for block in wide for codes in block]
        return np.array(found, np.float64)

    def rows(self, indices: np.ndarray, dtype: np.dtype) -> Iterator[np.ndarray]:
        """Some maps in the order of `indices`, of another dtype, some at a time."""
        size = max(1, _BLOCK // int(np.prod(self.shape)))
        for start in range(0, len(indices), size):
            yield self.maps[indices[start : start + size]].astype(dtype)

    def check_unchanged(self) -> None:
        """Refuse a file that was changed since it was looked at.

        Raises:
            DataError: it was.
        """
        if self._inventory.file_changed():
            raise DataError(f"{self.path}: was changed while it was read; start again")

    def remember(self) -> None:
        """Keep the checksum for the next command; see `inventory`."""
        self._inventory.remember(self._root)


def labels(path: Path, count: int, known: np.ndarray | None = None) -> np.ndarray:
    """The labels in a file: int64 (count,).

    Args:
        path: of the file.
        count: number of maps.
        known: the labels of the training maps, int64, where these are of others; None: these are
            those of the training maps.

    Raises:
        DataError: there is no such file, it holds not a whole number from 0 for each map, a number
            so large that it names no class, or a class of which there are none to train on.
    """
    expected = f"expected an array .npy of whole numbers from 0, one for each of {count:,} maps"
    found = loaded(path, expected)
    if found.dtype.kind not in "iu" or found.shape != (count,) or found.min() < 0:
        least = f", the least is {found.min()}" if found.dtype.kind == "i" and found.size else ""
        raise DataError(f"{path}: {expected}, found {found.dtype} {found.shape}{least}")
    if known is not None:
        strange = found[~np.isin(found, known)]
        if strange.size:
            raise DataError(
                f"{path}: holds the label {strange.min()}, of which there are no maps to train on"
            )
    elif found.max() >= max(count, _MOST_CLASSES):
        raise DataError(
            f"{path}: holds the label {found.max()}, but each number up to the largest label is a "
            f"class, and {count:,} maps may have {max(count, _MOST_CLASSES):,}; number the classes "
            "0, 1, 2, ..."
        )
    return found.astype(np.int64)


def loaded(path: Path, expected: str) -> np.ndarray:
    """An array that stays on the disc.

    Args:
        path: of a file .npy.
        expected: what it should be, for the error text.

    Raises:
        DataError: there is no such file, or it is none.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; {expected}")
    if path.suffix.lower() != ".npy":
        raise DataError(f"{path}: {expected}")
    try:
        with explained(path):
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: {expected} ({' '.join(str(error).split())})") from error
    return array
