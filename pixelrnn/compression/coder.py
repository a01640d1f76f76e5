"""The range coder of the `constriction` library, driven by our integer tables.

`constriction` makes its fixed-point models from floats: level v gets one part of 2^24 and its share
of the other 2^24 - L parts, cumulative sums rounded down. Given the shares of `tables`, all sums
are whole numbers below 2^24, which float32 holds exactly, so that its model is our table to the
last unit. A test holds it against a range coder of whole numbers.

The library checks nothing: damaged data decode to wrong symbols in silence. So tables are checked
where they are made, symbols here, and data by `container`.
"""

import constriction
import numpy as np

from pixelrnn.errors import CompressionError

_FAMILY = constriction.stream.model.Categorical(perfect=False)
_WORD = np.dtype("<u4")


class Encoder:
    """Turns symbols into bytes; the first to go in is the first to come out."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: np.ndarray, table: np.ndarray) -> None:
        """Code symbols, integers (B,), under their tables, float32 (B, levels)."""
        if len(symbols) == 0:
            return
        if symbols.min() < 0 or symbols.max() >= table.shape[1]:
            raise CompressionError(f"a symbol is outside of the {table.shape[1]} levels")
        self._coder.encode(np.ascontiguousarray(symbols, np.int32), _FAMILY, table)

    @property
    def bits(self) -> int:
        """Size so far, in whole words of 32 bits."""
        return int(self._coder.num_bits())

    def bytes(self) -> bytes:
        """All that was coded; whole words, little-endian."""
        return bytes(self._coder.get_compressed().astype(_WORD).tobytes())


class Decoder:
    """Gives the symbols back, if asked with the same tables in the same order.

    Args:
        data: what `Encoder.bytes` gave.

    Raises:
        CompressionError: it is not whole words.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % _WORD.itemsize:
            raise CompressionError("damaged: the coded data are not whole words")
        words = np.frombuffer(data, _WORD).astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)

    def decode(self, table: np.ndarray) -> np.ndarray:
        """Return the next symbols, int64 (B,), under their tables, float32 (B, levels).

        Raises:
            CompressionError: no symbols have such a code.
        """
        if len(table) == 0:
            return np.zeros(0, np.int64)
        try:
            symbols = self._coder.decode(_FAMILY, table)
        except (AssertionError, ValueError) as error:
            raise CompressionError("the coded data do not fit the model's tables") from error
        return np.asarray(symbols, dtype=np.int64)
