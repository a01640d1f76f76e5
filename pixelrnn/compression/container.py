"""The file: a header, then streams of images. Nothing is believed before it is checked.

    magic (8 bytes), version (u16), length of the header (u32)
    header: JSON in UTF-8, see `Header`, deflated (zlib)
    CRC-32 of all above (u32)
    then for each stream, until there are `count` images:
        index (u32), images (u32), kind (u8: 0 coded, 1 raw), payload length (u32),
        SHA-256 of the pixels and the packed labels (32 bytes)
        labels, if the model has classes (`labels`; their length follows from the header)
        payload
        CRC-32 of the stream, begun with the header's CRC (u32)

All numbers are little-endian. Every size is held against a limit before memory is taken for it. The
CRC of a stream goes on from that of the header, so that a stream fits no other file.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import IO, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pixelrnn.compression import labels
from pixelrnn.compression.numerics import Mode
from pixelrnn.errors import CompressionError

MAGIC = b"\x89PRNN\r\n\x1a"
"""Like that of PNG: a file that was sent as text, or cut to seven bits, is seen at once."""
VERSION = 2
STREAM_SUBPIXELS = 2**22
"""Sub-pixels of a stream at most (one image may be larger): this bounds memory."""
BATCH_LIMIT = 1024
"""Images walked together at most: each takes memory of the size of the model's states."""

_START = struct.Struct("<8sHI")
_STREAM = struct.Struct("<IIBI32s")
_CRC = struct.Struct("<I")
_HEADER_LIMIT = 16_384

_Side = Annotated[int, Field(ge=1, le=2**16)]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Text = Annotated[str, Field(max_length=200)]


class Header(BaseModel):
    """What a file says of its images, and of how they were coded.

    Attributes:
        writer: version of pixelrnn that wrote it; for information.
        image_shape: (C, H, W).
        levels: values of a sub-pixel.
        classes: of the model; each stream holds the labels of its images.
        count: images in the file.
        batch_size: images walked together.
        stream_images: images of every stream but the last.
        mode: how probabilities are computed.
        dtype: precision of the weights.
        table_bits: logarithm of the sum of a table.
        threads: of torch during the walk.
        model: hash of the model's description; all hashes are the first half of a SHA-256.
        weights: hash of its weights.
        canary: hash of the tables of a probe.
        environment: what decides how a machine rounds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    writer: _Text
    image_shape: tuple[_Side, _Side, _Side]
    levels: Annotated[int, Field(ge=2, le=2**16)]
    classes: Annotated[int, Field(ge=1, le=2**20)] | None
    count: Annotated[int, Field(ge=0, le=2**40)]
    batch_size: Annotated[int, Field(ge=1, le=BATCH_LIMIT)]
    stream_images: Annotated[int, Field(ge=1, le=STREAM_SUBPIXELS)]
    mode: Mode
    dtype: _Text
    table_bits: Literal[24]
    threads: Annotated[int, Field(ge=1, le=1024)]
    model: _Hash
    weights: _Hash
    canary: _Hash
    environment: Annotated[dict[_Text, _Text], Field(max_length=16)]

    @model_validator(mode="after")
    def _bounded(self) -> "Header":
        if self.stream_images > 1 and self.stream_images * self.subpixels > STREAM_SUBPIXELS:
            raise ValueError("its streams are larger than allowed")
        if self.batch_size > self.stream_images:
            raise ValueError("its batches are larger than its streams")
        return self

    @property
    def subpixels(self) -> int:
        """Sub-pixels of an image."""
        colors, height, width = self.image_shape
        return colors * height * width

    def raw_bytes(self, images: int) -> int:
        """Size of the pixels of some images, packed bit by bit."""
        return -(-images * self.subpixels * (self.levels - 1).bit_length() // 8)

    def label_bytes(self, images: int) -> int:
        """Size of the labels of some images; 0 if the model has no classes."""
        return 0 if self.classes is None else labels.size_of(images, self.classes)


@dataclass(frozen=True)
class Stream:
    """Some images of a file.

    Attributes:
        images: how many.
        raw: pixels packed bit by bit, not coded.
        payload: coded symbols, or packed pixels.
        digest: SHA-256 of the pixels, uint8 (images, C, H, W) or little-endian uint16 above 256
            levels, and of the packed labels.
        labels: packed labels; empty if the model has no classes.
    """

    images: int
    raw: bool
    payload: bytes
    digest: bytes
    labels: bytes = b""

    @property
    def overhead(self) -> int:
        """Bytes around the payload."""
        return _STREAM.size + _CRC.size


class Writer:
    """Writes a file from its beginning; the header is written at once.

    Args:
        file: open for writing bytes.
        header: what the file says of itself.
    """

    def __init__(self, file: IO[bytes], header: Header) -> None:
        packed = zlib.compress(header.model_dump_json().encode(), 9)
        start = _START.pack(MAGIC, VERSION, len(packed)) + packed
        self._file = file
        self._crc = zlib.crc32(start)
        self._index = 0
        self.header_bytes = file.write(start + _CRC.pack(self._crc))

    def write(self, stream: Stream) -> None:
        """Append a stream."""
        head = _STREAM.pack(
            self._index, stream.images, int(stream.raw), len(stream.payload), stream.digest
        )
        body = head + stream.labels + stream.payload
        self._file.write(body + _CRC.pack(zlib.crc32(body, self._crc)))
        self._index += 1


class Reader:
    """Reads a file from its beginning; the header is read and checked at once.

    Args:
        file: open for reading bytes.

    Raises:
        CompressionError: it is no such file, of another version, cut short, or damaged.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._index = 0
        start = file.read(_START.size)
        if not start.startswith(MAGIC):
            raise CompressionError("not a compressed file of pixelrnn, or damaged at its beginning")
        if len(start) < _START.size:
            raise CompressionError(_short("in its header"))
        _, version, length = _START.unpack(start)
        if version != VERSION:
            raise CompressionError(
                f"format version {version}, but this pixelrnn reads version {VERSION}"
            )
        if length > _HEADER_LIMIT:
            raise CompressionError(f"damaged: a header of {length} bytes is larger than allowed")
        packed = self._exactly(length, "in its header")
        self._crc = zlib.crc32(start + packed)
        if _CRC.unpack(self._exactly(_CRC.size, "in its header"))[0] != self._crc:
            raise CompressionError("damaged: the checksum of its header does not fit")
        try:
            self.header = Header.model_validate_json(_inflated(packed))
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(map(str, detail["loc"])) or "header"
            raise CompressionError(
                f"its header is not valid: {where}: {detail['msg'].removeprefix('Value error, ')}"
            ) from error

    def read(self, images: int) -> Stream:
        """Read the next stream, which must have this many images.

        Raises:
            CompressionError: cut short, or damaged.
        """
        place = f"in stream {self._index}"
        head = self._exactly(_STREAM.size, place)
        index, found, kind, length, hashed = _STREAM.unpack(head)
        most = self.header.raw_bytes(images)
        if index != self._index or found != images or kind > 1 or length > most:
            raise CompressionError(f"damaged: the head of stream {self._index} makes no sense")
        packed = self._exactly(self.header.label_bytes(images), place)
        payload = self._exactly(length, place)
        crc = zlib.crc32(packed + payload, zlib.crc32(head, self._crc))
        if _CRC.unpack(self._exactly(_CRC.size, place))[0] != crc:
            raise CompressionError(f"damaged: the checksum of stream {self._index} does not fit")
        self._index += 1
        return Stream(found, bool(kind), payload, hashed, packed)

    def end(self) -> None:
        """Refuse anything after the last stream.

        Raises:
            CompressionError: there is more.
        """
        if self._file.read(1):
            raise CompressionError("damaged: there is more after its last stream")

    def _exactly(self, size: int, place: str) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise CompressionError(_short(place))
        return data


def digest(pixels: bytes, packed_labels: bytes) -> bytes:
    """SHA-256 of the pixels of a stream and of its labels."""
    return hashlib.sha256(pixels + packed_labels).digest()


def _inflated(packed: bytes) -> bytes:
    """The text of a header, of bounded size.

    Raises:
        CompressionError: it is damaged, or larger than allowed.
    """
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(packed, _HEADER_LIMIT)
    except zlib.error as error:
        raise CompressionError(f"its header is not valid: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise CompressionError("its header is not valid: cut short, or larger than allowed")
    return text


def _short(place: str) -> str:
    return f"cut short: it ends {place}"
