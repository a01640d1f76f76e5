"""The C++ chain equals the reference, which is computed in float64."""

import itertools

import pytest
import torch

from pixelrnn import threads
from pixelrnn.native import compiler
from pixelrnn.ops import pointwise_chain as chain
from pixelrnn.ops.pointwise_chain import pointwise_chain


def draw(pixels, widths, dtype=torch.float32):
    x = torch.randn(*pixels, widths[0])
    pairs = [
        (torch.randn(after, before, 1, 1) / before**0.5, torch.randn(after) / 4)
        for before, after in itertools.pairwise(widths)
    ]
    return leaf(x, dtype), [tuple(leaf(tensor, dtype) for tensor in pair) for pair in pairs]


def leaf(tensor, dtype):
    return tensor.detach().to(dtype).requires_grad_()


def in_float64(x, layers):
    of = torch.float64
    return leaf(x, of), [tuple(leaf(tensor, of) for tensor in pair) for pair in layers]


def values_and_gradients(function, x, layers):
    y = function(x, layers)
    upstream = torch.arange(y.numel()).reshape(y.shape).to(y.dtype).cos()
    given = [x, *(tensor for pair in layers for tensor in pair)]
    return [y, *torch.autograd.grad(y, [t for t in given if t.requires_grad], upstream)]


def assert_close(found, exact):
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.shape == theirs.shape
        scale = theirs.abs().max().item() + 1e-3
        assert (ours.double() - theirs.double()).abs().max().item() < 1e-5 * scale


@pytest.mark.parametrize("widths", [(16, 16), (32, 32, 32), (48, 128, 16, 64), (64, 32)], ids=str)
@pytest.mark.parametrize("pixels", [(1,), (1, 3, 1), (7, 29, 11)], ids=str)
def test_equals_the_reference(pixels, widths):
    x, layers = draw(pixels, widths)
    assert chain.served(x, layers)
    found = values_and_gradients(pointwise_chain, x, layers)
    assert_close(found, values_and_gradients(chain.reference, *in_float64(x, layers)))


def test_an_input_without_gradient_and_one_that_is_not_contiguous():
    x, layers = draw((5, 40), (32, 48, 16))
    for given in (x.detach(), leaf(x.transpose(0, 1), torch.float32)):
        found = values_and_gradients(pointwise_chain, given, layers)
        exact, of = in_float64(given, layers)
        exact = exact.requires_grad_(given.requires_grad)
        assert_close(found, values_and_gradients(chain.reference, exact, of))


def test_the_gradient_of_an_expanded_output():
    x, layers = draw((5, 4), (16, 32))
    (found,) = torch.autograd.grad(pointwise_chain(x, layers).sum(), x)
    exact, of = in_float64(x, layers)
    assert_close([found], torch.autograd.grad(chain.reference(exact, of).sum(), exact))


def test_any_number_of_threads_gives_the_same_bits_and_any_batch_too():
    x, layers = draw((40, 40), (32, 32, 32))
    with threads.limited(1):
        one = values_and_gradients(pointwise_chain, x, layers)
    with threads.limited(3):
        several = values_and_gradients(pointwise_chain, x, layers)
    assert all(map(torch.equal, several, one))
    with torch.no_grad():
        assert torch.equal(pointwise_chain(x[7:8, 3:], layers), one[0][7:8, 3:])


@pytest.mark.parametrize("frozen", [False, True])
def test_second_derivatives_are_those_of_the_reference(frozen):
    x, layers = draw((4, 5), (16, 32, 16))
    found = []
    for function, (of, pairs) in (
        (pointwise_chain, (x, layers)),
        (chain.reference, in_float64(x, layers)),
    ):
        pairs[0][0].requires_grad_(not frozen)
        (gradient,) = torch.autograd.grad(function(of, pairs).square().sum(), of, create_graph=True)
        given = [of, *(x for pair in pairs for x in pair if x.requires_grad)]
        got = torch.autograd.grad(gradient.square().sum(), given, allow_unused=True)
        found.append([tensor for tensor in got if tensor is not None])
    assert_close(*found)


def test_what_is_not_a_number_stays_so():
    x, layers = draw((3, 4), (16, 32, 16))
    with torch.no_grad():
        x[1, 2, 5] = torch.nan
        y = pointwise_chain(x, layers)
    assert y[1, 2].isnan().all()
    assert y.isnan().sum() == 16


@pytest.mark.parametrize(
    ("pixels", "widths", "dtype"),
    [((0, 4), (16, 16), torch.float32), ((3,), (16, 16), torch.bfloat16)]
    + [((3,), widths, torch.float32) for widths in ((16, 20, 16), (16, 144), (10, 16))],
    ids=str,
)
def test_what_is_left_to_torch(pixels, widths, dtype):
    x, layers = draw(pixels, widths, dtype)
    assert not chain.served(x, layers)
    found = values_and_gradients(pointwise_chain, x, layers)
    assert all(map(torch.equal, found, values_and_gradients(chain.reference, x, layers)))


def test_without_a_compiler_and_under_autocast_torch_computes(monkeypatch):
    x, layers = draw((3, 4), (16, 32))
    with torch.autocast("cpu", torch.bfloat16):
        assert not chain.served(x, layers)
    monkeypatch.setattr(compiler, "_outcome", lambda _: "no C++ compiler")
    assert not chain.served(x, layers)
