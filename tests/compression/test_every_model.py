"""What the README promises of files, of every kind of model, on real images."""

import io
import math
import random

import pytest
import torch

import pixelrnn
from pixelrnn.compression import codec, container
from pixelrnn.data import Digits, Patches
from pixelrnn.errors import CompressionError
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from tests.compression.test_codec import nats
from tests.helpers import CATALOGUE, random_images, randomise

KINDS = (
    "pixelcnn",
    "pixelcnn-mixtures",
    "gated_pixelcnn",
    "pixelsnail",
    "row_lstm",
    "diagonal_bilstm-full",
    "multi_scale",
)
CASES = {case.name: case for case in CATALOGUE}
STACKS = (PixelCNN, GatedPixelCNN, PixelSNAIL, RowLSTM, DiagonalBiLSTM)
CLASSES = 10


def conditional(cls, image_shape, levels, scale=0.3):
    small = {"hidden": 4, "layers": 1, "head_width": 6, "first_kernel_size": 3}
    return randomise(cls(image_shape, levels, classes=CLASSES, **small), scale).eval()


def coded(model, images, labels=None, mode="fast"):
    """A file that was decoded and compared, and cost what it may."""
    file = io.BytesIO()
    report = codec.write(
        model,
        len(images),
        lambda part: images[part],
        file,
        labels=labels,
        mode=mode,
        verify=False,
    )
    found = codec.decompress_labelled(model, file.getvalue())
    assert torch.equal(found.images, images)
    assert labels is None or torch.equal(found.labels, labels)
    assert report.raw_streams == 0
    bits = nats(model, images, labels) / math.log(2)
    assert 0.99 * bits <= 8 * report.payload <= 1.01 * bits + 64 * report.streams
    return file.getvalue()


@pytest.fixture
def never_raw(monkeypatch):
    monkeypatch.setattr(container.Header, "raw_bytes", lambda header, images: 10**7)


@pytest.mark.parametrize("kind", ["multi_scale", "pixelsnail", "classes"])
def test_no_damage_to_a_file_gives_other_pixels_or_labels(kind):
    torch.manual_seed(0)
    labels = torch.arange(20) % CLASSES if kind == "classes" else None
    if kind == "classes":
        model = conditional(RowLSTM, (1, 4, 4), 4)
    else:
        model = CASES[kind]((1, 4, 4), 4, dtype=torch.float32, scale=0.3)
    data = pixelrnn.compress(model, model.sample(20, labels), labels)
    for length in range(0, len(data), 11):
        with pytest.raises(CompressionError):
            pixelrnn.decompress(model, data[:length])
    for bit in random.Random(0).sample(range(8 * len(data)), 150):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CompressionError):
            pixelrnn.decompress(model, bytes(flipped))


def real_images(name):
    """Images, labels or None, and levels: uint8 (N, C, H, W)."""
    if name.startswith("digits"):
        data = Digits(binary=name == "digits-binary")
        images, labels = (torch.from_numpy(f("test").copy()) for f in (data.images, data.labels))
        return images, labels, data.levels
    parts = [torch.from_numpy(Patches(size=16).images(split).copy()) for split in ("test", "val")]
    crops = torch.cat(parts)[:200]
    assert len(crops) == 200
    if name == "crops-binary":
        return (crops >= 128).to(torch.uint8), None, 2
    return crops, None, 256


@pytest.mark.slow
@pytest.mark.usefixtures("never_raw")
@pytest.mark.parametrize("name", ["digits", "digits-binary", "crops", "crops-binary"])
@pytest.mark.parametrize("kind", KINDS)
def test_real_images_come_back_for_the_bits_of_their_likelihood(kind, name):
    images, _, levels = real_images(name)
    model = CASES[kind](tuple(images.shape[1:]), levels, dtype=torch.float32, scale=0.1)
    coded(model, images)


@pytest.mark.slow
@pytest.mark.usefixtures("never_raw")
@pytest.mark.parametrize("cls", STACKS, ids=lambda cls: cls.__name__)
def test_real_images_with_labels_come_back(cls):
    images, labels, levels = real_images("digits")
    coded(conditional(cls, (1, 8, 8), levels), images, labels)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_portable_files_of_any_batch_size_hold_the_same_bits(kind):
    """An image has the same tables in any batch; so files differ in the order of symbols alone."""
    model = CASES[kind]((3, 4, 4), 16, dtype=torch.float32, scale=0.3)
    images = random_images(12, (3, 4, 4), 16)
    sizes = []
    for size in (1, 5, 12):
        data = pixelrnn.compress(model, images, mode="portable", batch_size=size, verify=False)
        assert torch.equal(pixelrnn.decompress(model, data), images)
        sizes.append(len(data))
    assert max(sizes) - min(sizes) <= 16
