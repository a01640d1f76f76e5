"""Likelihoods of a pixel: log_prob is the sum of the conditionals, and these sum to one."""

import pytest
import torch

from pixelrnn.likelihood import Bernoulli, Categorical, for_levels
from tests.helpers import Tied, all_images, mixture, mixtures

COLORS = 3
LIKELIHOODS = [Categorical(5), Categorical(256), Bernoulli(), Tied(5)]
LIKELIHOODS += [mixture(levels) for levels in (2, 17, 256)] + [mixtures(17)]


def name_of(likelihood):
    tied = "-tied" if likelihood.ties_colors else ""
    return f"{type(likelihood).__name__}-{likelihood.levels}{tied}"


def parameters_for(likelihood, *shape, scale=20.0):
    size = likelihood.parameters_per_pixel(COLORS)
    return scale * torch.randn(*shape, size, dtype=torch.float64)


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=name_of)
def test_conditionals_are_normalised_and_add_up_to_log_prob(likelihood):
    parameters = parameters_for(likelihood, 6, 2)
    pixel = torch.randint(likelihood.levels, (6, 2, COLORS), dtype=torch.uint8)
    total = 0
    for color in range(COLORS):
        table = likelihood.level_log_probs(parameters, pixel[..., :color], color)
        assert table.shape == (6, 2, likelihood.levels)
        assert torch.allclose(table.exp().sum(-1), torch.ones((), dtype=torch.float64))
        total = total + table.gather(-1, pixel[..., color, None].long()).squeeze(-1)
    assert torch.allclose(likelihood.log_prob(parameters, pixel), total)


@pytest.mark.parametrize(
    "likelihood",
    [Categorical(3), Bernoulli(), Tied(3), mixture(2), mixture(3), mixture(17), mixtures(3)],
    ids=name_of,
)
def test_all_pixels_sum_to_one(likelihood):
    pixels = all_images((COLORS, 1, 1), likelihood.levels).view(-1, COLORS)
    parameters = parameters_for(likelihood, 1, scale=2.0)
    total = likelihood.log_prob(parameters.expand(len(pixels), -1), pixels).exp().sum()
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("likelihood", [Categorical(5), Bernoulli(), mixtures(5)], ids=name_of)
def test_a_colour_needs_its_own_part_of_the_parameters_alone(likelihood):
    """What `ties_colors = False` promises: a walk knows no more at that moment."""
    parameters = parameters_for(likelihood, 4)
    part = parameters.shape[-1] // COLORS
    for color in range(COLORS):
        partly = torch.full_like(parameters, torch.nan)
        own = slice(color * part, (color + 1) * part)
        partly[:, own] = parameters[:, own]
        earlier = torch.zeros(4, color, dtype=torch.uint8)
        expected = likelihood.level_log_probs(parameters, earlier, color)
        assert torch.equal(likelihood.level_log_probs(partly, earlier, color), expected)


def test_bernoulli_is_a_categorical_of_two():
    logit = torch.randn(7, 1, dtype=torch.float64)
    two = torch.cat([torch.zeros_like(logit), logit], -1)
    tables = [
        likelihood.level_log_probs(parameters, torch.zeros(7, 0), 0)
        for likelihood, parameters in ((Bernoulli(), logit), (Categorical(2), two))
    ]
    assert torch.allclose(*tables)


@pytest.mark.parametrize("likelihood", [Categorical(256), Bernoulli(), mixture(256)], ids=name_of)
def test_half_precision_parameters_are_scored_in_float32(likelihood):
    parameters = 5 * torch.randn(100, likelihood.parameters_per_pixel(COLORS))
    pixels = torch.randint(likelihood.levels, (100, COLORS))
    rounded = parameters.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = likelihood.log_prob(rounded, pixels)
    assert found.dtype == torch.float32
    expected = likelihood.log_prob(rounded.double(), pixels)
    assert torch.allclose(found.double(), expected, atol=1e-4)


@pytest.mark.parametrize("likelihood", [Categorical(4), Bernoulli()], ids=name_of)
def test_extreme_parameters_stay_finite(likelihood):
    parameters = torch.full((1, likelihood.parameters_per_pixel(1)), 300.0)
    parameters[..., 0] = -300.0
    for level in range(likelihood.levels):
        assert torch.isfinite(likelihood.log_prob(parameters, torch.tensor([[level]]))).all()


def test_choice_follows_the_paper():
    assert isinstance(for_levels(2), Bernoulli)
    assert for_levels(17).levels == 17
