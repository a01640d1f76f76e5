"""Attention over earlier positions: for all of them, over a cache, and as it is defined."""

import pytest
import torch

from pixelrnn import threads
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


def filled(query, key, value, kind, room=48):
    """All positions over a cache, one after the other: (B, h, N, V)."""
    batch, heads, n, _ = query.shape
    keys = torch.full((batch, heads, key.shape[-1], room), torch.nan, dtype=key.dtype)
    value_room = attention.rounded(value.shape[-1], attention.VALUE_LANES)
    values = torch.full((batch, heads, room, value_room), torch.nan, dtype=key.dtype)
    out, outputs = torch.full_like(value[:, :, 0], torch.nan), []
    attend = kind(keys, values, out)
    for position in range(n):
        attend(query[:, :, position], position)
        outputs.append(out.clone())
        keys[..., position] = key[:, :, position]
        values[:, :, position, : value.shape[-1]] = value[:, :, position]
    return torch.stack(outputs, dim=2)


@pytest.mark.parametrize("kind", [attention.native, attention.plain])
@pytest.mark.parametrize("sizes", [{}, {"heads": 1, "value": 33}, {"batch": 0}], ids=str)
@pytest.mark.parametrize("n", [1, 16, 17, 35])
@torch.no_grad()
def test_a_cache_gives_the_same(n, sizes, kind):
    given = drawn(n, dtype=torch.float32, **sizes)
    expected = attention.reference(*(x.double() for x in given)).float()
    torch.testing.assert_close(filled(*given, kind), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_large_scores_do_not_overflow():
    query, key, value = drawn(20, dtype=torch.float32)
    expected = attention.reference(query * 1e3, key, value)
    for kind in (attention.native, attention.plain):
        found = filled(query * 1e3, key, value, kind)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_an_image_is_the_same_to_the_last_bit_in_any_batch_and_on_any_threads(monkeypatch):
    given = drawn(40, batch=9, value=37, dtype=torch.float32)
    with threads.limited(1):
        together = filled(*given, attention.native)
    for members, count in ((slice(None), 3), (slice(4, 5), 1), (slice(2, 8), 2)):
        with threads.limited(count):
            alone = filled(*(x[members] for x in given), attention.native)
        assert torch.equal(alone, together[members])
    many = drawn(600, batch=40, heads=1, key=8, value=16, dtype=torch.float32)  # enough for threads
    results = []
    for count in (1, 3):
        keys, values = many[1][:, :, :592].transpose(2, 3).contiguous(), many[2][:, :, :592]
        out = torch.empty(40, 1, 16)
        with threads.limited(count):
            attention.native(keys, values.contiguous(), out)(many[0][:, :, 0], 590)
        results.append(out)
    assert torch.equal(*results)


def test_a_cache_that_the_kernel_cannot_read_is_refused():
    keys, values, out = torch.zeros(2, 1, 3, 16), torch.zeros(2, 1, 16, 8), torch.zeros(2, 1, 4)
    for wrong in (
        (keys[..., :15], values[:, :, :15], out),
        (keys, values[..., :4], out),
        (keys.double(), values, out),
        (keys.transpose(2, 3).contiguous().transpose(2, 3), values, out),
    ):
        with pytest.raises(ValueError, match="cache"):
            attention.native(*wrong)
    with pytest.raises(ValueError, match="expected float32"):
        attention.native(keys, values, out)(torch.zeros(2, 1, 4), 3)
