"""Windows of few features, which only an input without gradient takes, give what `conv2d` does."""

import math

import pytest
import torch

from pixelrnn.layers.masked_conv import MaskedConv2d


@pytest.mark.parametrize("size", [(0, 3, 1), (1, 1, 2), (1, 6, 1), (5, 1, 3), (4, 5, 2)], ids=str)
@pytest.mark.parametrize("kernel", [(7, 7), (2, 2), (1, 5), (5, 1)], ids=str)
@pytest.mark.parametrize("mask", ["A", "B"])
def test_an_input_without_gradient(mask, kernel, size):
    batch, height, width = size
    layer = MaskedConv2d(mask, 3, 6, kernel, color_groups=3).double()
    x = torch.randn(height, width, batch, 3, dtype=torch.float64)
    upstream = torch.randn(height, width, batch, 6, dtype=torch.float64)
    found = []
    for given in (x, x.clone().requires_grad_()):
        layer.zero_grad()
        y = layer(given)
        y.backward(upstream)
        assert y.is_contiguous()
        found.append([y.detach(), layer.weight.grad, layer.bias.grad])
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("mask", "seen"), [("A", 4 * 24 + 8), ("B", 4 * 24 + 16)])
def test_initial_weights_have_the_variance_of_what_an_output_sees(mask, seen):
    """A third of 24 features each: at its own pixel an output sees one or two thirds on average."""
    weight = MaskedConv2d(mask, 24, 60, (3, 3), color_groups=3).weight.detach()
    assert weight.abs().max() <= 1 / math.sqrt(seen)
    assert weight.var().item() == pytest.approx(1 / (3 * seen), rel=0.05)
