"""More than 256 levels, such as the codes of a VQ-VAE, embedded or not: images are int32."""

import io

import numpy as np
import pytest
import torch

import pixelrnn
from pixelrnn.compression import codec
from pixelrnn.generation import reference
from pixelrnn.generation.sources import draws
from pixelrnn.models import PixelCNN
from tests.helpers import CATALOGUE, all_images, name_of, random_images, randomise

LEVELS = 300
KINDS = ("pixelcnn", "row_lstm", "multi_scale")
CASES = [case for case in CATALOGUE if case.name in KINDS or "embedded" in case.name]
SHAPE = (2, 2, 3)


def generators(n):
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_conditionals_add_up_and_the_incremental_walk_draws_as_the_oracle(case):
    model = case(SHAPE, LEVELS)
    drawn = model.sample(3, generator=generators(3))
    assert drawn.dtype == torch.int32
    assert drawn.max() > 255
    table = model.conditionals(drawn)
    assert torch.allclose(table.exp().sum(2), torch.ones((), dtype=torch.float64))
    chosen = table.gather(2, drawn[:, :, None].long())[:, :, 0]
    assert torch.allclose(chosen.sum((1, 2, 3)), model.log_prob(drawn))
    if "multi_scale" not in case.name:
        slow = reference.generate(model, 3, draws(3, generators(3))(slice(0, 3)))
        assert torch.equal(slow, drawn)
    known = torch.tensor([[True, False, True], [False, False, False]])
    completed = model.complete(drawn, known)
    assert completed.dtype == torch.int32
    assert torch.equal(completed[:, :, known], drawn[:, :, known])


@pytest.mark.parametrize("mode", ["fast", "portable"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_they_come_back_from_a_file(case, mode):
    model = case(SHAPE, LEVELS, dtype=torch.float32)
    images = model.sample(4)
    data = pixelrnn.compress(model, images, mode=mode)
    found = pixelrnn.decompress(model, data)
    assert found.dtype == torch.int32
    assert torch.equal(found, images)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(1, 1, 2, 2, dtype=torch.uint8), "int32 for 300 levels, got torch.uint8"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.int64), "int32 for 300 levels, got torch.int64"),
        (torch.full((1, 1, 2, 2), 300, dtype=torch.int32), "below levels=300, got 300"),
        (torch.full((1, 1, 2, 2), -1, dtype=torch.int32), "below levels=300, got -1"),
        (np.zeros((1, 1, 2, 2), np.int32), "dtype int32, got a numpy.ndarray"),
    ],
    ids=str,
)
def test_wrong_images_are_refused(images, says):
    model = PixelCNN((1, 2, 2), LEVELS, hidden=2, layers=1, head_width=2)
    with pytest.raises(ValueError, match=says):
        model.log_prob(images)


def test_all_pairs_of_257_symbols_sum_to_one():
    case = next(case for case in CASES if case.name == "gated_pixelcnn-embedded")
    model, pairs = case((1, 1, 2), 257), all_images((1, 1, 2), 257)
    with torch.no_grad():
        total = sum(model.log_prob(part).exp().sum() for part in pairs.split(10_000))
    assert total.item() == pytest.approx(1, abs=1e-11)  # float64, 66,049 terms


def test_the_most_levels_there_are():
    """An image of each end of the range, and a file of it."""
    model = PixelCNN((1, 1, 2), 65_536, hidden=2, layers=1, head_width=2).eval()
    images = torch.tensor([[[[0, 65_535]]], [[[65_535, 1]]]], dtype=torch.int32)
    uniform = -2 * np.log(65_536)
    torch.nn.init.zeros_(model.head.layers[-1].weight)
    assert model.log_prob(images).tolist() == pytest.approx([uniform] * 2, rel=1e-6)
    assert torch.equal(pixelrnn.decompress(model, pixelrnn.compress(model, images)), images)


@pytest.mark.parametrize("mode", ["fast", pytest.param("portable", marks=pytest.mark.slow)])
def test_the_most_levels_cost_what_log_prob_says(mode):
    """A part of 2^24 for each of 65,536 levels: 0.0056 bits more for a symbol at most."""
    torch.manual_seed(0)
    model = PixelCNN((1, 2, 3), 65_536, hidden=2, layers=1, head_width=3, embed=2)
    randomise(model, 1.0).eval()
    images = model.sample(12)
    bits = -model.log_prob(images).sum().item() / np.log(2)
    file = io.BytesIO()
    report = codec.write(model, 12, lambda part: images[part], file, mode=mode, verify=False)
    assert report.raw_streams == 0
    assert bits * 0.99 <= 8 * report.payload <= bits * 1.01 + 64
    assert torch.equal(pixelrnn.decompress(model, file.getvalue()), images)


def test_random_images_of_the_helpers_are_of_the_right_dtype():
    assert random_images(2, SHAPE, 257).dtype == torch.int32
    assert random_images(2, SHAPE, 256).dtype == torch.uint8
