"""Labels in a file: as short as they can be, given back, and as well guarded as the pixels."""

import io
import math
import struct
import zlib

import pytest
import torch

import pixelrnn
from pixelrnn.compression import codec, container, labels, streams
from pixelrnn.compression.audit import audited
from pixelrnn.errors import CompressionError
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from tests.helpers import randomise

CLASSES = 5
STACKS = [PixelCNN, GatedPixelCNN, PixelSNAIL, RowLSTM, DiagonalBiLSTM]


def conditional(cls=PixelCNN, shape=(1, 5, 4), levels=4):
    torch.manual_seed(0)
    small = {"hidden": 4, "layers": 1, "head_width": 4, "first_kernel_size": 3}
    return randomise(cls(shape, levels, classes=CLASSES, **small)).eval()


@pytest.fixture(scope="module")
def coded():
    model = conditional()
    given = torch.arange(40) % CLASSES
    images = model.sample(40, given, torch.Generator().manual_seed(0))
    return model, images, given


@pytest.mark.parametrize("classes", [1, 2, 3, 10, 256, 1000, 2**20])
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 200])
def test_labels_come_back_for_log2_of_the_classes(classes, n):
    given = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(n))
    data = labels.packed(given, classes)
    assert torch.equal(labels.unpacked(data, n, classes), given)
    assert len(data) == labels.size_of(n, classes)
    assert n * math.log2(classes) / 8 <= len(data) < n * math.log2(classes) / 8 + n / 64 + 1


def test_bytes_that_are_no_labels_are_refused():
    with pytest.raises(CompressionError, match="wrong length"):
        labels.unpacked(b"\0", 5, 10)
    with pytest.raises(CompressionError, match="none of the classes"):
        labels.unpacked(b"\xff\xff\xff", 5, 10)


@pytest.mark.parametrize("mode", ["fast", "portable"])
@pytest.mark.parametrize("cls", STACKS)
def test_images_and_labels_come_back_for_their_bits(cls, mode, monkeypatch):
    monkeypatch.setattr(container.Header, "raw_bytes", lambda header, images: 10**6)  # not raw
    model, given = conditional(cls), torch.arange(23) % CLASSES
    images, file = model.sample(23, given), io.BytesIO()
    report = codec.write(
        model, 23, lambda part: images[part], file, labels=given, batch_size=8, mode=mode
    )
    found = codec.decompress_labelled(model, file.getvalue())
    assert torch.equal(found.images, images)
    assert torch.equal(found.labels, given)
    assert torch.equal(pixelrnn.decompress(model, file.getvalue()), images)
    with torch.no_grad():
        bits = -model.log_prob(images, given).double().sum().item() / math.log(2)
    assert bits - 1 <= 8 * report.payload <= bits * 1.001 + 64
    assert report.labels == math.ceil(23 * math.log2(CLASSES) / 8)
    assert report.fixed + report.labels + report.payload == len(file.getvalue())
    assert f", {report.labels} bytes of labels, and " in report.line(model.image_shape)


def test_raw_streams_keep_their_labels(coded):
    model, images, given = coded
    for _ in range(20):  # the least likely images, found along the order
        with torch.no_grad():
            images = model.conditionals(images, given).argmin(2).to(torch.uint8)
    file = io.BytesIO()
    report = codec.write(model, 40, lambda part: images[part], file, labels=given)
    assert report.raw_streams == report.streams == 1
    found = codec.decompress_labelled(model, file.getvalue())
    assert torch.equal(found.images, images)
    assert torch.equal(found.labels, given)


def test_no_images_have_no_labels(coded):
    model = coded[0]
    nothing = torch.zeros(0, dtype=torch.int64)
    data = pixelrnn.compress(model, torch.zeros(0, 1, 5, 4, dtype=torch.uint8), nothing)
    found = codec.decompress_labelled(model, data)
    assert (len(found.images), found.labels.tolist()) == (0, [])


def test_missing_and_wrong_labels_are_refused(coded):
    model, images, given = coded
    for wrong in (None, given[:-1], given + 1, given.int()):
        with pytest.raises(ValueError, match="labels must be"):
            pixelrnn.compress(model, images, wrong)


@pytest.mark.parametrize("raw", [False, True])
def test_a_label_that_was_changed_is_refused(coded, raw, monkeypatch):
    """Behind a checksum that fits: what is given out was compared with a hash."""
    model, images, given = coded
    if raw:
        monkeypatch.setattr(streams.Encoder, "bytes", lambda encoder: b"\0" * 10**6)
    data = pixelrnn.compress(model, images, given, verify=False)
    start = 14 + struct.unpack_from("<I", data, 10)[0] + 4
    head = struct.calcsize("<IIBI32s")
    swapped = given.clone()
    swapped[7] = (given[7] + 1) % CLASSES
    stream = bytearray(data[start:-4])
    stream[head : head + labels.size_of(40, CLASSES)] = labels.packed(swapped, CLASSES)
    crc = zlib.crc32(stream, zlib.crc32(data[: start - 4]))
    with pytest.raises(CompressionError, match=r"other pixels|do not fit"):
        pixelrnn.decompress(model, data[:start] + bytes(stream) + struct.pack("<I", crc))


def test_an_audit_counts_labels_apart(coded):
    model, images, given = coded
    found = audited(model, images, given, samples=20, with_codecs=False)
    assert found.honest
    assert found.report.labels == labels.size_of(40, CLASSES)
    assert found.coded == 8 * found.report.payload / 40
