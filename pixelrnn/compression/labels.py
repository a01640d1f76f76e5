"""The labels of the images of a stream, as bytes: the decoder needs them before any pixel.

All classes count as equally likely: labels are digits of a number to the base K, a block of them
at a time, so that a label takes log2 K bits and a block is rounded up to a byte. The size is known
from the number of images alone.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from pixelrnn.errors import CompressionError

_BLOCK = 64
"""Labels in one number."""


def packed(labels: Tensor, classes: int) -> bytes:
    """Pack labels, int64 (n,), each in [0, classes)."""
    blocks = []
    for start, size in _blocks(len(labels), classes):
        number = 0
        for label in labels[start : start + _BLOCK].tolist():
            number = number * classes + label
        blocks.append(number.to_bytes(size, "little"))
    return b"".join(blocks)


def unpacked(data: bytes, n: int, classes: int) -> Tensor:
    """Undo `packed`: int64 (n,).

    Raises:
        CompressionError: these bytes are no n labels.
    """
    if len(data) != size_of(n, classes):
        raise CompressionError("damaged: labels of a wrong length")
    labels: list[int] = []
    at = 0
    for start, size in _blocks(n, classes):
        number = int.from_bytes(data[at : at + size], "little")
        at += size
        block = []
        for _ in range(min(_BLOCK, n - start)):
            number, label = divmod(number, classes)
            block.append(label)
        if number:
            raise CompressionError("damaged: a label is none of the classes")
        labels += reversed(block)
    return torch.tensor(labels, dtype=torch.int64)


def size_of(n: int, classes: int) -> int:
    """Bytes of n packed labels."""
    whole, rest = divmod(n, _BLOCK)
    return whole * _bytes(_BLOCK, classes) + _bytes(rest, classes)


def _blocks(n: int, classes: int) -> Iterator[tuple[int, int]]:
    """The first label of each block, and the block's bytes."""
    for start in range(0, n, _BLOCK):
        yield start, _bytes(min(_BLOCK, n - start), classes)


def _bytes(n: int, classes: int) -> int:
    """Bytes that the largest number of n digits takes."""
    return -(-(classes**n - 1).bit_length() // 8)
