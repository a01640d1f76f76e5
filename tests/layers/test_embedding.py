"""Looked-up vectors, against the product of one-hot vectors with the table."""

import pytest
import torch
from torch.nn import functional as F

from pixelrnn.layers.embedding import SymbolEmbedding

COLORS, LEVELS, FEATURES = 3, 5, 4


def by_product(layer, symbols, first=0):
    """Colour by colour, as the equation reads."""
    columns = [
        F.one_hot(symbols[..., color].long(), LEVELS).to(layer.weight) @ layer.weight[first + color]
        for color in range(symbols.shape[-1])
    ]
    return torch.cat(columns, dim=-1)


@pytest.mark.parametrize("shape", [(2, 3, 2), (1, 1, 1), (0,), (4, 1, 0)], ids=str)
@pytest.mark.parametrize(("first", "count"), [(0, 3), (1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_values_and_gradients_are_those_of_the_product(shape, first, count, dtype):
    layer = SymbolEmbedding(COLORS, LEVELS, FEATURES).to(dtype)
    symbols = torch.randint(LEVELS, (*shape, count), dtype=torch.uint8)
    found, expected = layer(symbols, first), by_product(layer, symbols, first)
    assert torch.equal(found, expected)
    weights = torch.randint(-2, 3, found.shape).to(dtype)  # so that every sum is exact
    gradients = [
        torch.autograd.grad((weights * y).sum(), layer.weight)[0] for y in (found, expected)
    ]
    assert torch.equal(*gradients)


def test_real_numbers_lie_between_their_neighbours():
    layer = SymbolEmbedding(1, LEVELS, FEATURES).double()
    whole = torch.arange(LEVELS)[:, None]
    assert torch.allclose(layer(whole.double()), layer(whole))
    between = layer(torch.tensor([[2.25]], dtype=torch.float64))
    assert torch.allclose(between[0], 0.75 * layer.weight[0, 2] + 0.25 * layer.weight[0, 3])
