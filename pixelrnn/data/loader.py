"""A loader whose errors are those of the data set, also where another process met them."""

from collections.abc import Iterator
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from pixelrnn.errors import DataError

T = TypeVar("T")


class Loader(DataLoader[T]):
    """torch's loader. What a worker refused is one line, as without workers.

    Raises:
        DataError: while it is iterated: a file cannot be read or has changed.
    """

    def __iter__(self) -> Any:
        """One pass."""
        return _Pass(super().__iter__())


class _Pass(Iterator[T]):
    """Batches of one pass."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def __next__(self) -> T:
        try:
            batch: T = next(self._batches)
        except DataError as error:  # torch puts the worker's whole traceback before the message
            message = str(error).rpartition(f"{DataError.__module__}.DataError: ")[2].strip()
            raise DataError(message) from error
        return batch
