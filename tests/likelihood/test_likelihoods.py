import pytest
import torch

from pixelrnn.likelihood import Bernoulli, Categorical, for_levels


@pytest.mark.parametrize("likelihood", [Categorical(5), Categorical(256), Bernoulli()])
def test_table_is_normalised_and_agrees_with_log_prob(likelihood):
    parameters = 20 * torch.randn(6, 3, likelihood.num_parameters, dtype=torch.float64)
    table = likelihood.log_probs(parameters)
    assert table.shape == (6, 3, likelihood.levels)
    assert torch.allclose(table.exp().sum(-1), torch.ones((), dtype=torch.float64))
    symbols = torch.randint(likelihood.levels, (6, 3), dtype=torch.uint8)
    expected = table.gather(-1, symbols[..., None].long()).squeeze(-1)
    assert torch.allclose(likelihood.log_prob(parameters, symbols), expected)


def test_bernoulli_is_a_categorical_of_two():
    logit = torch.randn(7, 1, dtype=torch.float64)
    two = torch.cat([torch.zeros_like(logit), logit], -1)
    assert torch.allclose(Bernoulli().log_probs(logit), Categorical(2).log_probs(two))


@pytest.mark.parametrize("likelihood", [Categorical(256), Bernoulli()])
def test_half_precision_parameters_are_scored_in_float32(likelihood):
    parameters = 5 * torch.randn(100, likelihood.num_parameters)
    symbols = torch.randint(likelihood.levels, (100,))
    rounded = parameters.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = likelihood.log_prob(rounded, symbols)
    assert found.dtype == torch.float32
    expected = likelihood.log_prob(rounded.double(), symbols)
    assert torch.allclose(found.double(), expected, atol=1e-4)


@pytest.mark.parametrize("likelihood", [Categorical(4), Bernoulli()])
def test_extreme_parameters_stay_finite(likelihood):
    parameters = torch.full((1, likelihood.num_parameters), 300.0)
    parameters[..., 0] = -300.0
    for symbol in range(likelihood.levels):
        assert torch.isfinite(likelihood.log_prob(parameters, torch.tensor([symbol]))).all()


def test_choice_follows_the_paper():
    assert isinstance(for_levels(2), Bernoulli)
    assert for_levels(17).levels == 17
