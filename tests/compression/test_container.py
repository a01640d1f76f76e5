"""Damaged and hostile files: our error in every case, and never a wrong picture."""

import io
import json
import random
import struct
import zlib

import pytest
import torch

import pixelrnn
from pixelrnn.compression import container
from pixelrnn.errors import CompressionError
from pixelrnn.models import PixelCNN
from tests.helpers import randomise


@pytest.fixture(scope="module")
def coded():
    torch.manual_seed(0)
    model = PixelCNN((1, 4, 4), 4, hidden=2, layers=1, head_width=2, first_kernel_size=3)
    model = randomise(model, 0.3).eval()
    images = model.sample(20, generator=torch.Generator().manual_seed(0))
    return model, images, pixelrnn.compress(model, images)


def test_every_truncation_is_refused(coded):
    model, _, data = coded
    for length in range(len(data)):
        with pytest.raises(CompressionError):
            pixelrnn.decompress(model, data[:length])


def test_single_flipped_bits_are_refused(coded):
    model, _, data = coded
    for bit in random.Random(0).sample(range(8 * len(data)), 1000):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CompressionError):
            pixelrnn.decompress(model, bytes(flipped))


def parts(data):
    """Header as a dict, and all that follows its checksum."""
    length = struct.unpack_from("<I", data, 10)[0]
    return json.loads(zlib.decompress(data[14 : 14 + length])), data[14 + length + 4 :]


def forged(header, streams=b"", packed=False):
    """A file with this header and checksums that fit."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    packed = text if packed else zlib.compress(text)
    start = struct.pack("<8sHI", container.MAGIC, container.VERSION, len(packed)) + packed
    return start + struct.pack("<I", zlib.crc32(start)) + streams


def test_flips_behind_fitting_checksums_are_refused(coded):
    """As if checksums did not exist: the hash of the pixels stands for itself."""
    model, images, data = coded
    _header, body = parts(data)
    crc = zlib.crc32(data[: -len(body) - 4])
    for bit in random.Random(1).sample(range(8 * (len(body) - 4)), 200):
        flipped = bytearray(body[:-4])
        flipped[bit // 8] ^= 1 << bit % 8
        stream = bytes(flipped) + struct.pack("<I", zlib.crc32(flipped, crc))
        try:
            found = pixelrnn.decompress(model, data[: -len(body)] + stream)
        except CompressionError:
            continue
        assert torch.equal(found, images)  # bits of the last word that decide nothing


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", 2**50),
        ("count", -1),
        ("count", 2**40),
        ("count", 19),
        ("count", 21),
        ("batch_size", 10**6),
        ("batch_size", 0),
        ("stream_images", 2**30),
        ("stream_images", 2**22),
        ("stream_images", 1),
        ("image_shape", [1, 2**20, 2**20]),
        ("image_shape", [1, 2**16, 2**16]),
        ("image_shape", [1, 4]),
        ("levels", 0),
        ("levels", 2**40),
        ("threads", 0),
        ("threads", 10**9),
        ("table_bits", 60),
        ("mode", "other"),
        ("classes", 3),
        ("weights", "short"),
        ("environment", {"a": 5}),
        ("environment", {"torch": "x" * 500}),
        ("unknown", 1),
        ("count", "many"),
        ("count", None),
        ("levels", 4.5),
    ],
)
def test_hostile_headers_are_refused_before_memory_is_taken(coded, key, value):
    model, _, data = coded
    header, body = parts(data)
    with pytest.raises(CompressionError):
        pixelrnn.decompress(model, forged(header | {key: value}, body))


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[1]", b"null", b"\xff\xfe", b"[" * 9000, b'{"a":' * 2000, b"1" * 9000],
    ids=range(8),
)
def test_headers_that_are_none_are_refused(coded, text):
    with pytest.raises(CompressionError, match="header is not valid"):
        pixelrnn.decompress(coded[0], forged(text))


def test_a_bomb_in_the_header_is_refused(coded):
    bombs = [zlib.compress(b" " * 10**7), zlib.compress(b"{}") + b"x", b"none", b""]
    for packed in [*bombs, zlib.compress(b"{}")[:-1]]:
        with pytest.raises(CompressionError, match="header is not valid"):
            pixelrnn.decompress(coded[0], forged(packed, packed=True))


def test_a_forged_length_takes_no_memory(coded):
    model, _, data = coded
    start = struct.pack("<8sHI", container.MAGIC, container.VERSION, 2**32 - 1)
    with pytest.raises(CompressionError, match="larger than allowed"):
        pixelrnn.decompress(model, start + b"x")
    header, _ = parts(data)
    head = struct.pack("<IIBI32s", 0, 20, 0, 2**32 - 1, b"")
    with pytest.raises(CompressionError, match="makes no sense"):
        pixelrnn.decompress(model, forged(header, head))


def test_other_files_are_refused(coded):
    model, _, data = coded
    for other in (b"", b"\x89PNG\r\n\x1a\n", data[8:], data.replace(b"\r\n", b"\n", 1)):
        with pytest.raises(CompressionError, match="not a compressed file"):
            pixelrnn.decompress(model, other)
    with pytest.raises(CompressionError, match="format version 7"):
        pixelrnn.decompress(model, struct.pack("<8sH", container.MAGIC, 7) + data[10:])
    with pytest.raises(CompressionError, match="more after its last stream"):
        pixelrnn.decompress(model, data + b"\0")


def test_a_stream_fits_no_other_file(coded):
    model, _, data = coded
    other = pixelrnn.compress(model, coded[1].flip(0), batch_size=10)
    mixed = data[: -len(parts(data)[1])] + parts(other)[1]
    with pytest.raises(CompressionError, match="checksum of stream 0"):
        pixelrnn.decompress(model, mixed)


def test_the_header_says_what_the_file_is(coded):
    _model, _images, data = coded
    header = container.Reader(io.BytesIO(data)).header
    assert (header.image_shape, header.levels, header.count) == ((1, 4, 4), 4, 20)
    assert header.environment["torch"] == torch.__version__
    assert header.writer == pixelrnn.__version__
