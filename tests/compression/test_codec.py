"""What is compressed comes back, costs the bits that log_prob says, and only by the same model."""

import io
import math

import pytest
import torch
from torch import nn

import pixelrnn
from pixelrnn.compression import canary, codec, container, identity, sources, streams
from pixelrnn.errors import CompressionError
from pixelrnn.models import PixelCNN
from tests.helpers import CATALOGUE, name_of, random_images, randomise
from tests.models.test_conditioning import CLASSES, Conditioned

SHAPES = [((1, 6, 5), 2), ((3, 4, 3), 256)]


def nats(model, images, labels=None):
    with torch.no_grad():
        return -model.log_prob(images, labels).double().sum().item()


def tiny(levels=4, shape=(1, 4, 4), seed=0, **settings):
    torch.manual_seed(seed)
    given = {"hidden": 4, "layers": 1, "head_width": 4, "first_kernel_size": 3} | settings
    return randomise(PixelCNN(shape, levels, **given)).eval()


@pytest.mark.parametrize("shape", SHAPES, ids=["binary", "256 levels"])
@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_every_model_gives_the_images_back_for_the_bits_of_their_likelihood(
    case, shape, monkeypatch
):
    monkeypatch.setattr(container.Header, "raw_bytes", lambda header, images: 10**6)  # not raw
    image_shape, levels = shape
    model = case(image_shape, levels, dtype=torch.float32, scale=0.5)
    images = model.sample(11)
    file = io.BytesIO()
    report = codec.write(model, 11, lambda part: images[part], file, batch_size=4, verify=False)
    assert torch.equal(pixelrnn.decompress(model, file.getvalue()), images)
    assert report.images == 11
    assert report.fixed + report.payload == len(file.getvalue())
    assert report.raw_streams == 0
    bits = nats(model, images) / math.log(2)
    assert bits - 1 <= 8 * report.payload <= bits * 1.001 + 64 * report.streams


def test_double_precision_and_labels():
    model = randomise(Conditioned((3, 3, 4), 4, 3).double(), 0.4).eval()
    labels = torch.arange(40) % CLASSES
    images = model.sample(40, labels)
    data = pixelrnn.compress(model, images, labels, batch_size=16)
    assert torch.equal(pixelrnn.decompress(model, data), images)
    with pytest.raises(ValueError, match="labels must be"):
        pixelrnn.compress(model, images)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_any_number_of_images(n):
    model = tiny()
    images = random_images(n, (1, 4, 4), 4)
    found = pixelrnn.decompress(model, pixelrnn.compress(model, images, batch_size=2))
    assert torch.equal(found, images)
    assert found.dtype == torch.uint8


def test_streams_are_bounded(monkeypatch):
    monkeypatch.setattr(container, "STREAM_SUBPIXELS", 16 * 7)
    model, images = tiny(), random_images(20, (1, 4, 4), 4)
    file = io.BytesIO()
    taken = []

    def take(part):
        taken.append((part.start, part.stop))
        return images[part]

    report = codec.write(model, 20, take, file, batch_size=3)
    assert taken == [(0, 6), (6, 12), (12, 18), (18, 20)]  # no more in memory than a stream
    assert report.streams == 4  # of six images, the last of two
    file.seek(0)
    parts = [part.images for part in codec.read(model, file)]
    assert [len(part) for part in parts] == [6, 6, 6, 2]
    assert torch.equal(torch.cat(parts), images)


def test_where_coding_does_not_pay_pixels_are_raw():
    model = tiny()
    images = random_images(8, (1, 4, 4), 4)
    for _ in range(16):  # the least likely image, found along the order
        with torch.no_grad():
            images = model.conditionals(images).argmin(2).to(torch.uint8)
    file = io.BytesIO()
    report = codec.write(model, 8, lambda part: images[part], file)
    assert report.raw_streams == 1
    assert report.payload == 8 * 16 * 2 // 8
    assert torch.equal(pixelrnn.decompress(model, file.getvalue()), images)


def test_what_does_not_decode_is_stored_raw(monkeypatch, caplog):
    model = tiny()
    images = model.sample(9)

    def damaged(*args):
        raise CompressionError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(streams, "_walked", damaged)
        data = pixelrnn.compress(model, images)
    assert "stored raw" in caplog.text
    assert torch.equal(pixelrnn.decompress(model, data), images)


class Whole(PixelCNN):
    """A model whose stem has no steps."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.extra = nn.Identity()

    def compose(self, pixels, run):
        return run(self.extra, super().compose(pixels, run))


def test_a_model_without_steps_is_refused():
    model = Whole((1, 4, 4), 2, hidden=2, layers=1, head_width=2).eval()
    with pytest.raises(CompressionError, match="Whole cannot be coded"):
        pixelrnn.compress(model, random_images(1, (1, 4, 4), 2))


def test_probabilities_that_are_no_numbers_are_refused():
    model = tiny()
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    with pytest.raises(CompressionError, match="not finite"):
        pixelrnn.compress(model, random_images(1, (1, 4, 4), 4))


def test_wrong_arguments():
    model = tiny()
    with pytest.raises(ValueError, match="images must be"):
        pixelrnn.compress(model, random_images(1, (1, 4, 5), 4))
    for size in (0, 2000):
        with pytest.raises(ValueError, match="batch_size must be in"):
            pixelrnn.compress(model, random_images(1, (1, 4, 4), 4), batch_size=size)
    with pytest.raises(ValueError, match="mode must be 'fast' or 'portable', got 'slow'"):
        pixelrnn.compress(model, random_images(1, (1, 4, 4), 4), mode="slow")
    data = pixelrnn.compress(model, random_images(1, (1, 4, 4), 4))
    with pytest.raises(ValueError, match="machine must be 'same' or 'any', got 'Same'"):
        pixelrnn.decompress(model, data, machine="Same")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lambda: tiny(seed=1), "other weights"),
        (lambda: tiny(layers=2), "another architecture"),
        (lambda: tiny(shape=(1, 4, 5)), "image_shape=\\(1, 4, 4\\)"),
        (lambda: tiny(levels=5), "levels=4, but this has 5"),
        (lambda: tiny().double(), "coded in float32, but this model is in float64"),
    ],
    ids=["weights", "settings", "shape", "levels", "precision"],
)
def test_another_model_is_refused(other, reason):
    data = pixelrnn.compress(tiny(), random_images(2, (1, 4, 4), 4))
    with pytest.raises(CompressionError, match=reason):
        pixelrnn.decompress(other(), data)


def test_another_machine_is_refused(monkeypatch):
    model = tiny()
    images = model.sample(20)
    data = pixelrnn.compress(model, images)
    here = identity.environment(model)
    monkeypatch.setattr(identity, "environment", lambda model: here | {"cpu": "ABACUS"})
    with pytest.raises(CompressionError, match=r"cpu .* there, ABACUS here.*machine=any"):
        pixelrnn.decompress(model, data)
    assert torch.equal(pixelrnn.decompress(model, data, machine="any"), images)
    monkeypatch.setattr(canary, "canary", lambda model, n: "0" * 32)
    with pytest.raises(CompressionError, match="computes other probabilities"):
        pixelrnn.decompress(model, data, machine="any")


def test_pixels_that_differ_are_never_given_out(monkeypatch):
    """A machine whose rounding the canary did not notice."""
    model = tiny()
    data = pixelrnn.compress(model, model.sample(20))
    right = sources.Decoding.__call__

    def wrong(self, log_probs, position):
        noise = 1e-3 * torch.randn(log_probs.shape) * (position.row == 3)
        return right(self, log_probs + noise, position)

    monkeypatch.setattr(sources.Decoding, "__call__", wrong)
    with pytest.raises(CompressionError, match=r"other pixels|do not fit"):
        pixelrnn.decompress(model, data)


def test_the_number_of_threads_of_the_caller_does_not_matter():
    model = tiny(hidden=8)
    images = model.sample(12)
    before = torch.get_num_threads()
    data = pixelrnn.compress(model, images)
    torch.set_num_threads(2)
    try:
        assert torch.equal(pixelrnn.decompress(model, data), images)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_bar_tells_the_bits_so_far(capsys):
    model = tiny()
    pixelrnn.compress(model, model.sample(4), progress=True)
    err = capsys.readouterr().err
    assert "4/4 images" in err
    assert "bits/dim" in err


def test_the_line_of_a_report_counts_what_the_images_cost_alone():
    """24 sub-pixels in 3 bytes; labels and headers stand beside them."""
    report = codec.Report(images=2, streams=1, fixed=1100, labels=5, payload=3)
    assert report.line((3, 2, 2)) == (
        "2 images in 3 bytes, 1.0000 bits/dim, 5 bytes of labels, and 1,100 bytes of headers"
    )
    raw = codec.Report(images=2, streams=3, raw_streams=1, fixed=90, payload=6)
    assert raw.line((3, 2, 2)).endswith(
        "2.0000 bits/dim, and 90 bytes of headers, 1 of 3 streams raw"
    )
