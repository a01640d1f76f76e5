"""Attention over earlier positions: for all of them at once, and as it is defined."""

import pytest
import torch

from pixelrnn.ops import attention


def drawn(n, batch=2, heads=3, key=3, value=5, dtype=torch.float64):
    shapes = [(batch, heads, n, width) for width in (key, key, value)]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(
    "sizes", [{}, {"key": 6}, {"heads": 1}, {"batch": 0}, {"batch": 1}], ids=str
)
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_it_is_its_definition_and_so_are_its_gradients(n, sizes):
    given = drawn(n, **sizes)
    results = []
    for function in (attention.over_earlier, attention.reference):
        out = function(*given)
        upstream = torch.arange(out.numel(), dtype=out.dtype).view(out.shape).sin()
        grads = torch.autograd.grad(out, given, upstream, allow_unused=True)
        zeros = [torch.zeros_like(x) for x in given]  # at n = 1 nothing is seen
        results.append([out, *(z if g is None else g for g, z in zip(grads, zeros, strict=True))])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_first_position_gets_zeros_and_nothing_is_not_a_number(dtype):
    query, key, value = drawn(5, dtype=dtype)
    out = attention.over_earlier(query * 1e3, key, value)
    assert not out[:, :, 0].any()
    out.float().sum().backward()
    for x in (out, query.grad, key.grad, value.grad):
        assert torch.isfinite(x).all()
    assert not key.grad[:, :, -1].any()  # nothing comes after the last one
    assert not value.grad[:, :, -1].any()
