import pytest
import torch
from torch.nn import functional as F

from pixelrnn.ops import skips


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("blocks", [1, 3])
def test_the_sum_of_skips_from_the_inside(blocks, residual):
    """Values and all gradients of the definition: each skip sees the stream after its block."""
    x, inner = draw(2, 3, 1, 6), [draw(2, 3, 1, 3) for _ in range(blocks)]
    of_skips = [(draw(6, 6, 1, 1), draw(6)) for _ in range(blocks)]
    of_ups = [(draw(6, 3), draw(6)) for _ in range(blocks)]
    given = [x, *inner, *(t for pair in (*of_skips, *of_ups) for t in pair)]
    upstream = torch.randn(2, 3, 1, 6, dtype=torch.float64)

    stream, expected = x, torch.zeros_like(x)
    for features, (up, bias), (skip, skip_bias) in zip(inner, of_ups, of_skips, strict=True):
        y = F.linear(features, up, bias)
        stream = stream + y if residual else y
        expected = expected + F.linear(stream, skip.flatten(1), skip_bias)
    asides, total = skips.from_inside(x, of_skips, of_ups, residual)
    for features, aside in zip(inner, asides, strict=True):
        total = skips.added(total, features, aside)

    assert torch.allclose(total, expected, atol=1e-12)
    found, wanted = (
        torch.autograd.grad(of, given, upstream, allow_unused=True) for of in (total, expected)
    )
    for ours, theirs in zip(found, wanted, strict=True):
        ours, theirs = (0 * upstream.sum() if g is None else g for g in (ours, theirs))
        assert torch.allclose(ours, theirs, atol=1e-11)


def test_no_two_gradients_share_memory():
    """Clipping scales gradients in place, each once."""
    x = draw(2, 2, 1, 4)
    of_skips = [(draw(4, 4), draw(4)) for _ in range(3)]
    of_ups = [(draw(4, 2), draw(4)) for _ in range(3)]
    asides, total = skips.from_inside(x, of_skips, of_ups, True)
    (total.sum() + sum(aside.sum() for aside in asides)).backward()
    places = set()
    for weight, bias in (*of_skips, *of_ups):
        for tensor in (weight, bias):
            before = tensor.grad.clone()
            tensor.grad.mul_(2)
            assert torch.equal(tensor.grad, 2 * before)
            places.add(tensor.grad.data_ptr())
    assert len(places) == 12


@pytest.mark.parametrize("batch", [0, 2])
def test_added(batch):
    total, inner, weight = draw(2, 3, batch, 4), draw(2, 3, batch, 2), draw(4, 2)
    assert torch.allclose(skips.added(total, inner, weight), total + inner @ weight.t())
