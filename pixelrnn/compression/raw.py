"""Pixels packed bit by bit: what is stored where coding does not pay."""

import numpy as np
from torch import Tensor

from pixelrnn import symbols
from pixelrnn.errors import CompressionError


def packed(images: Tensor, levels: int) -> bytes:
    """Pack uint8 (n, C, H, W), each value below `levels` in as few bits as all values need."""
    values = symbols.array(images, levels).reshape(-1, 1)
    octets = values.astype(values.dtype.newbyteorder(">")).view(np.uint8)  # highest bit first
    return np.packbits(np.unpackbits(octets, axis=1)[:, -_bits(levels) :]).tobytes()


def unpacked(data: bytes, n: int, image_shape: tuple[int, int, int], levels: int) -> Tensor:
    """Undo `packed`: uint8 (n, C, H, W).

    Raises:
        CompressionError: wrong length.
    """
    bits, count = _bits(levels), n * int(np.prod(image_shape))
    if len(data) != -(-count * bits // 8):
        raise CompressionError("damaged: raw pixels of a wrong length")
    found = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits).reshape(-1, bits)
    stored = symbols.stored(levels)
    whole = np.zeros((count, 8 * stored.itemsize), np.uint8)
    whole[:, whole.shape[1] - bits :] = found
    values = np.packbits(whole, axis=1).view(stored.newbyteorder(">")).astype(stored)
    return symbols.tensor(values.reshape(n, *image_shape))


def _bits(levels: int) -> int:
    return (levels - 1).bit_length()
