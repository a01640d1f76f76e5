"""The audit finds agreement where there is one, and the faults that are planted."""

import math

import numpy as np
import pytest
import torch

from pixelrnn.compression import calibration, codecs
from pixelrnn.compression.audit import Audit, Mean, audited
from pixelrnn.compression.codec import Report
from pixelrnn.errors import CompressionError
from pixelrnn.models import PixelCNN
from tests.helpers import random_images, randomise


def tiny():
    model = PixelCNN((1, 5, 5), 4, hidden=6, layers=1, head_width=6, first_kernel_size=3)
    return randomise(model, 0.7).eval()


def test_an_honest_model_passes():
    torch.manual_seed(0)
    model = tiny()
    images = model.sample(300)
    found = audited(model, images, samples=300)
    assert found.honest
    bits = -model.log_prob(images).detach().double() / math.log(2)
    assert found.nll.value == pytest.approx(bits.mean().item())
    assert found.nll.error == pytest.approx(bits.std().item() / math.sqrt(300))
    assert found.coded == 8 * found.report.payload / 300
    assert abs(found.coded / found.nll.value - 1) < 0.01
    assert found.agreement < 4
    seen, used = found.calibration, found.calibration.count > 20
    z = (seen.hits - seen.expected)[used] / np.sqrt(seen.variance[used])
    assert np.abs(z).max() < 4.5
    assert set(found.codecs) >= {"PNG", "WebP"}


@pytest.mark.parametrize(("shape", "levels"), [((1, 2, 2), 300), ((2, 2, 2), 4)])
def test_images_that_no_codec_takes_are_audited_without_codecs(shape, levels):
    model = randomise(PixelCNN(shape, levels, hidden=4, layers=1, head_width=6)).eval()
    found = audited(model, random_images(3, shape, levels), samples=0)
    assert found.honest
    assert found.codecs == {}


def test_a_sampler_of_another_distribution_is_found(monkeypatch):
    torch.manual_seed(0)
    model = tiny()
    sample = PixelCNN.sample
    monkeypatch.setattr(
        PixelCNN, "sample", lambda self, *args, **kwargs: sample(self, *args, temperature=1.3)
    )
    found = audited(model, random_images(4, (1, 5, 5), 4), samples=300, with_codecs=False)
    assert found.agreement > 4
    assert not found.honest


def test_a_likelihood_that_is_too_good_is_found(monkeypatch):
    torch.manual_seed(0)
    model = tiny()
    images, log_prob = model.sample(100), PixelCNN._log_prob
    monkeypatch.setattr(PixelCNN, "_log_prob", lambda self, *args: log_prob(self, *args) * 0.9)
    found = audited(model, images, samples=0, with_codecs=False)
    assert found.own_nll is None
    assert not found.honest


@pytest.mark.parametrize(
    ("payload", "streams", "difference", "honest"),
    [
        (1270, 1, 4.0, True),  # 1 % more, and 64 bits for the end of the stream
        (1271, 1, 0.0, False),
        (1271, 2, 0.0, True),
        (1270, 1, -4.1, False),
        (100, 1, 0.0, True),
    ],
)
def test_an_audit_allows_one_percent_and_four_standard_errors(payload, streams, difference, honest):
    """100 images of 100 bits; what lies around the payload does not count."""
    nothing = calibration.Calibration(*np.zeros((4, 1)))
    found = Audit(
        images=100,
        nll=Mean(100.0, 1.0),
        report=Report(100, streams, 0, 10_000, 10_000, payload),
        samples=50,
        own_nll=Mean(100.0, 1.0),
        own_entropy=Mean(100.0 - difference, 1.0),
        own_difference=Mean(difference, 1.0),
        calibration=nothing,
        codecs={},
    )
    assert found.honest == honest


def test_calibration_counts():
    log_probs = torch.tensor([[0.05, 0.95], [0.25, 0.75]]).log().view(2, 1, 2, 1, 1)
    images = torch.tensor([1, 0]).view(2, 1, 1, 1)
    found = calibration.collected([(log_probs, images)])
    at = np.searchsorted(calibration.EDGES, [0.05, 0.25, 0.75, 0.95], side="right") - 1
    assert found.count.sum() == 4
    assert found.count[at].tolist() == [1, 1, 1, 1]
    assert np.allclose(found.expected[at], [0.05, 0.25, 0.75, 0.95])
    assert np.allclose(found.variance[at], [0.0475, 0.1875, 0.1875, 0.0475])
    assert found.hits[at].tolist() == [0, 1, 0, 1]


def test_calibration_counts_the_same_some_rows_at_a_time(monkeypatch):
    log_probs = torch.randn(3, 2, 7, 5, 4, dtype=torch.float64).log_softmax(2)
    images = torch.randint(7, (3, 2, 5, 4))
    whole = calibration.collected([(log_probs, images)])
    for numbers in (1, 400):
        monkeypatch.setattr(calibration, "_NUMBERS", numbers)
        parts = calibration.collected([(log_probs, images), (log_probs[:0], images[:0])])
        for name in ("count", "expected", "variance", "hits"):
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name))


@pytest.mark.parametrize(("colors", "levels"), [(1, 2), (1, 17), (3, 256)])
@pytest.mark.parametrize("known", codecs.CODECS, ids=lambda known: known.name)
def test_codecs_are_measured(known, colors, levels):
    if not codecs.available(known):
        pytest.skip(f"{known.name}: the extra `codecs` is not installed")
    images = random_images(7, (colors, 8, 6), levels).numpy()
    found = codecs.sizes(known, images, levels)
    entropy = images.size * math.log2(levels)
    assert 0 < found.bare < found.files
    black = codecs.sizes(known, np.zeros_like(images[:1]), levels)
    assert (black.bare, found.bare) == (0, found.files - 7 * black.files)
    assert found.files > found.picture > 0.9 * entropy


def test_a_codec_with_loss_is_refused():
    lossy = codecs.Codec("JPEG", "JPEG", None, {})
    with pytest.raises(CompressionError, match="does not give back"):
        codecs.sizes(lossy, random_images(1, (3, 8, 8), 256).numpy(), 256)


def test_a_file_that_is_smaller_than_said_is_no_fault():
    """A table gives each level at least 2^-24: less surprise than a model may have."""
    torch.manual_seed(0)
    model = randomise(tiny(), 30.0)
    found = audited(model, random_images(30, (1, 5, 5), 4), samples=0, with_codecs=False)
    assert found.coded < 0.9 * found.nll.value
    assert found.honest
