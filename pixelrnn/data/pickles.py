"""Pickles that may hold arrays, strings, numbers, lists and dictionaries, and can run nothing."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pixelrnn.errors import DataError

_ARRAY_PARTS = {
    # numpy moved the function; files of either age name the old place or the new
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ARRAY_PARTS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it asks for an outside object")


def read_arrays(path: Path) -> Any:
    """What a pickle of the Python 2 age holds; strings are decoded as latin1.

    Raises:
        DataError: damaged, or it asks for anything but numpy arrays.
    """
    with open(path, "rb") as stream:
        try:
            return _ArraysOnly(stream, encoding="latin1").load()
        except OSError:
            raise
        except Exception as error:  # a damaged pickle can raise almost anything
            raise DataError(
                f"{path}: expected a pickle of numpy arrays and nothing else; {error}. Do not open "
                "it by other means; delete the folder, so that the binary version is fetched"
            ) from error
