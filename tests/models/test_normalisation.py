"""Over all images of a tiny space, p sums to 1."""

import pytest
import torch

from pixelrnn.likelihood import Bernoulli
from pixelrnn.ops import masks
from tests.helpers import CATALOGUE, CAUSAL, all_images, name_of

SPACES = [((1, 3, 3), 2), ((1, 2, 2), 4), ((3, 1, 1), 2), ((3, 1, 2), 2), ((2, 2, 1), 3)]


def total(model):
    images = all_images(model.image_shape, model.levels)
    return model.log_prob(images).exp().sum().item()


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_probabilities_sum_to_one(case, space):
    assert total(case(*space)) == pytest.approx(1, abs=1e-12)  # float64, at most 512 terms


def test_float32_sums_to_one():
    assert total(CATALOGUE[0]((1, 3, 3), 2, dtype=torch.float32)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_a_leak_in_the_mask_is_found(case, monkeypatch):
    """Planted fault: mask A shows the pixel itself."""
    honest = masks.centre_mask
    monkeypatch.setattr(masks, "centre_mask", lambda _, out, of: honest("B", out, of))
    assert abs(total(case((1, 3, 3), 2)) - 1) > 1e-6  # a million times what an honest sum is off


@pytest.mark.parametrize(
    "case",
    [case for case in CAUSAL if isinstance(case((1, 1, 1), 2).likelihood, Bernoulli)],
    ids=name_of,
)
def test_one_percent_on_the_probabilities_is_found(case, monkeypatch):
    """Planted fault: a likelihood whose logarithms are 1 % too small."""
    honest = Bernoulli.log_prob
    monkeypatch.setattr(Bernoulli, "log_prob", lambda *args: 0.99 * honest(*args))
    assert abs(total(case((1, 3, 3), 2)) - 1) > 1e-3
