"""A bound on how many numbers are made while somebody else's model is built.

A description of a few bytes may ask for terabytes of weights. A file of weights says how large its
model can be: what needs far more is refused before the memory is taken.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pixelrnn.errors import RunError

_TIMES = 20


class _Bounded(TorchDispatchMode):
    """Counts what functions that take a size are asked for, before they are called."""

    def __init__(self, numbers: int, tensors: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.tensors = tensors

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        size = args[0] if args else None
        if isinstance(size, list | tuple) and all(isinstance(side, int) for side in size):
            self.tensors -= 1
            self.numbers -= math.prod(size)
        elif func.overloadpacket is torch.ops.aten.arange:
            self.numbers -= max((int(end) for end in args[:2]), default=0)
        if self.numbers < 0 or self.tensors < 0:
            raise _TooLargeError
        return func(*args, **(kwargs or {}))


class _TooLargeError(BaseException):
    """Passes through a constructor that turns exceptions into others."""


@contextlib.contextmanager
def bounded_by(weights: Mapping[str, Tensor], origin: Path) -> Iterator[None]:
    """Let a model be built in this block that these weights may fill, and none that is far larger.

    Masks and passing values stand beside weights: some twenty times as much may be asked for.

    Args:
        weights: of the file; they are not looked at.
        origin: the file, for the error text.

    Raises:
        RunError: it asks for more.
    """
    numbers = sum(value.numel() for value in weights.values())
    try:
        with _Bounded(_TIMES * numbers + 10_000_000, _TIMES * len(weights) + 1_000):
            yield
    except _TooLargeError:
        raise RunError(f"{origin}: describes a model far larger than its weights") from None
