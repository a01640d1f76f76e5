import pytest
import torch

from pixelrnn import threads
from pixelrnn.native import compiler
from pixelrnn.ops import gates, recorded

SIZES = [(1, 1, 1, 1), (1, 6, 2, 3), (5, 1, 2, 16), (3, 4, 3, 41), (8, 8, 16, 48)]  # H, W, B, p


def values_and_gradients(gate, x, upstream):
    x = x.detach().requires_grad_()
    y = gate(x)
    return [y.detach(), *torch.autograd.grad(y, x, upstream.to(x.dtype))]


@pytest.mark.parametrize("squashed", [True, False])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_native_gates_are_the_reference(size, squashed):
    torch.manual_seed(0)
    x = 3 * torch.randn(*size[:3], 2 * size[3])
    upstream = torch.randn(size)
    assert gates.served(x)
    found = values_and_gradients(lambda x: gates.gated(x, squashed), x, upstream)
    exact = values_and_gradients(lambda x: gates.reference(x, squashed), x.double(), upstream)
    for ours, theirs in zip(found, exact, strict=True):  # a few roundings of numbers near 1
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 1e-6 * (1 + theirs.abs().max())


@pytest.mark.parametrize("squashed", [True, False])
def test_far_from_zero(squashed):
    """Gates that are wide open, shut, or not numbers."""
    far = torch.tensor([-torch.inf, -1e30, -90.0, -1e-30, 0.0, 90.0, 1e30, torch.inf, torch.nan])
    a, b = far.repeat_interleave(len(far)), far.repeat(len(far))
    x, upstream = torch.cat([a, b])[None, None, None], torch.ones(1, 1, 1, len(a))
    ours = values_and_gradients(lambda x: gates.gated(x, squashed), x, upstream)
    theirs = values_and_gradients(lambda x: gates.reference(x, squashed), x, upstream)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found.isfinite(), expected.isfinite())
        known = expected.isfinite()  # exp ends at e^88 in C++: its shut gates let 1e-38 pass
        torch.testing.assert_close(found[known], expected[known], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("squashed", [True, False])
def test_derivatives_of_both_orders(squashed):
    """What can be differentiated again is the reference's gradient, from native values on."""
    x = torch.randn(2, 3, 2, 6)
    second = []
    for gate, dtype in ((gates.gated, torch.float32), (gates.reference, torch.float64)):
        given = x.to(dtype).requires_grad_()
        seen = given.transpose(0, 1)  # also of what does not lie in one piece
        (first,) = torch.autograd.grad(gate(seen, squashed).sum(), given, create_graph=True)
        second.append(torch.autograd.grad(first.square().sum(), given)[0])
    torch.testing.assert_close(second[0], second[1].float(), rtol=1e-5, atol=1e-6)


def test_the_same_bits_on_any_threads_and_in_any_batch():
    x, upstream = torch.randn(12, 12, 40, 34), torch.randn(12, 12, 40, 17)
    with threads.limited(1):
        one = values_and_gradients(lambda x: gates.gated(x, True), x, upstream)
    with threads.limited(3):
        several = values_and_gradients(lambda x: gates.gated(x, True), x, upstream)
        alone = gates.gated(x[:, :, 7:8], True)
    assert all(map(torch.equal, one, several))
    assert torch.equal(alone, one[0][:, :, 7:8])


def test_inputs_and_upstream_gradients_that_are_not_contiguous():
    x, upstream = torch.randn(3, 4, 12, 2).movedim(2, 3), torch.randn(3, 4, 6, 2).movedim(2, 3)
    found = values_and_gradients(lambda x: gates.gated(x, True), x, upstream)
    exact = values_and_gradients(lambda x: gates.reference(x, True), x, upstream)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, exact, strict=True))


def test_what_it_leaves_to_torch(monkeypatch):
    whole = torch.randn(2, 3, 2, 6)
    assert gates.served(whole)
    for other in (whole.double(), whole.bfloat16(), whole[:, :, :0], whole[0, 0]):
        assert not gates.served(other)
        assert torch.equal(gates.gated(other, True), gates.reference(other, True))
    assert not gates.served(recorded.value(whole, recorded.Recording()))
    monkeypatch.setattr(compiler, "_outcome", lambda _: "no C++ compiler")
    assert not gates.served(whole)
