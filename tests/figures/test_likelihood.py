"""Images sorted by likelihood: the order is right, and the picture shows it."""

import pytest
import torch

from pixelrnn.figures import likelihood
from pixelrnn.likelihood.units import bits_per_dim
from tests.helpers import CATALOGUE, random_images

SHAPE, LEVELS = (1, 3, 4), 4


def test_the_most_likely_comes_first():
    model = CATALOGUE[0](SHAPE, LEVELS)
    images = random_images(20, SHAPE, LEVELS)
    values, order = likelihood.ranked(model, images)
    assert sorted(order.tolist()) == list(range(20))
    assert torch.allclose(values, bits_per_dim(model.log_prob(images[order]), SHAPE))
    assert (values.diff() >= 0).all()


@pytest.mark.parametrize(
    ("images", "shown", "expected"),
    [(5, 5, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]), (101, 3, [0, 50, 100]), (7, 1, [0])],
)
def test_first_and_last_are_shown(images, shown, expected):
    assert likelihood.ranks(images, shown) == expected


def test_the_picture_tells_bits_and_ranks():
    model = CATALOGUE[0](SHAPE, LEVELS)
    images = random_images(20, SHAPE, LEVELS)
    drawn = likelihood.figure(model, images, show=3, name="mine")
    values, order = likelihood.ranked(model, images)
    texts = [ax.get_xlabel() for ax in drawn.axes]
    assert texts[0] == f"{values[0]:.3f}\nrank 1"
    assert texts[2] == f"{values[-1]:.3f}\nrank 20"
    shown = torch.from_numpy(drawn.axes[2].get_images()[0].get_array().data)
    assert torch.allclose(shown, images[order[-1]][0].double() / (LEVELS - 1))
    assert "bits/dim" in drawn.get_suptitle()
