"""Surprise maps: their bits are the bits of the likelihood."""

import math

import pytest
import torch

from pixelrnn.figures import scoring, styles, surprise
from tests.helpers import CATALOGUE, name_of, random_images

SHAPE, LEVELS = (3, 3, 4), 5


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_the_bits_of_all_pixels_are_the_likelihood(case):
    model = case(SHAPE, LEVELS)
    images = random_images(3, SHAPE, LEVELS)
    maps = surprise.pixel_bits(model, images)
    assert maps.shape == (3, 3, 4)
    assert torch.allclose(maps.sum((1, 2)), -model.log_prob(images) / math.log(2))
    assert (maps >= 0).all()


def test_batches_change_nothing(monkeypatch):
    model = CATALOGUE[0](SHAPE, LEVELS)
    images = random_images(5, SHAPE, LEVELS)
    whole = scoring.sub_pixel_bits(model, images)
    monkeypatch.setattr(scoring, "_NUMBERS", 2 * LEVELS * math.prod(SHAPE))
    assert [len(part) for part, _ in scoring.tables(model, images)] == [2, 2, 1]
    assert torch.allclose(scoring.sub_pixel_bits(model, images), whole)
    assert scoring.sub_pixel_bits(model, images[:0]).shape == (0, *SHAPE)


@pytest.mark.parametrize("style", styles.STYLES)
@pytest.mark.parametrize(("n", "axes"), [(1, 2), (7, 24)])
def test_the_picture_says_what_its_colours_mean(style, n, axes):
    model = CATALOGUE[0](SHAPE, LEVELS)
    images = random_images(n, SHAPE, LEVELS)
    drawn = surprise.figure(model, images, name="mine", style=style)
    assert len(drawn.axes) == axes + 1
    assert drawn.axes[-1].get_ylabel() == "surprise, bits per pixel"
    assert "mine" in drawn.get_suptitle()
    bits = surprise.pixel_bits(model, images).sum((1, 2))
    texts = [ax.get_xlabel() for ax in drawn.axes if "bits/dim" in ax.get_xlabel()]
    dims = math.prod(SHAPE)
    assert texts == [f"{value:.0f} bits\n{value / dims:.2f} bits/dim" for value in bits]
