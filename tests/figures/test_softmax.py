"""Distributions of chosen sub-pixels: they are those of the model, and the true level is marked."""

import numpy as np
import pytest
import torch

from pixelrnn.figures import softmax
from tests.helpers import CATALOGUE, name_of, random_images

SHAPE, LEVELS = (3, 3, 4), 5


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_every_distribution_sums_to_one(case):
    model = case(SHAPE, LEVELS)
    (image,) = random_images(1, SHAPE, LEVELS)
    found = softmax.outputs(model, image)
    assert found.probabilities.shape == (3, LEVELS, 3, 4)
    assert np.allclose(found.probabilities.sum(1), 1)
    true = np.take_along_axis(found.probabilities, image[:, None].long().numpy(), 1)
    assert np.isclose(np.log(true).sum(), model.log_prob(image[None]).item())


def test_entropies_are_in_bits():
    table = np.full((1, 4, 1, 2), 0.25)
    table[0, :, 0, 1] = [1, 0, 0, 0]
    found = softmax.Outputs(np.zeros((1, 1, 2), np.uint8), table)
    assert np.allclose(found.entropies, [[[2, 0]]])


@pytest.mark.parametrize("n", [1, 2, 6, 36, 99])
def test_the_chosen_go_from_sure_to_unsure(n):
    model = CATALOGUE[0](SHAPE, LEVELS)
    found = softmax.outputs(model, random_images(1, SHAPE, LEVELS)[0])
    places = softmax.chosen(found, n)
    assert len(set(places)) == len(places) == min(n, 36)
    assert places[0] == (0, 0, 0)
    entropies = [found.entropies[color, row, column] for row, column, color in places[1:]]
    assert entropies == sorted(entropies)
    if n > 1:
        assert max(entropies) == np.delete(found.entropies.transpose(1, 2, 0).ravel(), 0).max()


def test_an_image_of_one_sub_pixel_has_one_distribution():
    model = CATALOGUE[0]((1, 1, 1), 2)
    found = softmax.outputs(model, random_images(1, (1, 1, 1), 2)[0])
    assert softmax.chosen(found, 6) == [(0, 0, 0)]


def test_the_picture_shows_the_probabilities_and_the_true_level():
    model = CATALOGUE[0](SHAPE, LEVELS)
    (image,) = random_images(1, SHAPE, LEVELS)
    places = [(0, 0, 0), (2, 3, 2)]
    drawn = softmax.figure(model, image, places=places, name="mine")
    found = softmax.outputs(model, image)
    panels = [ax for ax in drawn.axes if ax.patches and "row" in ax.get_title()]
    assert len(panels) == 2
    for ax, (row, column, color) in zip(panels, places, strict=True):
        p = found.probabilities[color, :, row, column]
        true = int(image[color, row, column])
        assert np.allclose(ax.patches[0].get_data().values, p)
        assert ax.lines[0].get_xdata()[0] == true
        assert f"true {true}: p = {p[true]:.3g}" in ax.get_title()
        assert ax.get_xlabel() == "level"
    assert panels[0].get_ylabel() == "probability"
    with pytest.raises(ValueError, match="places must be"):
        softmax.figure(model, image, places=[(3, 0, 0)])


def test_a_label_reaches_the_model():
    model = CATALOGUE[0]((1, 3, 3), 4)
    conditional = type(model)((1, 3, 3), 4, 4, 1, head_width=4, classes=3)
    for weight in conditional.parameters():
        torch.nn.init.normal_(weight)
    (image,) = random_images(1, (1, 3, 3), 4)
    one, two = (softmax.outputs(conditional, image, label).probabilities for label in (0, 1))
    assert not np.allclose(one, two)
