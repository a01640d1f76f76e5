import pytest
import torch
from torch.nn import functional as F

from pixelrnn import threads
from pixelrnn.native import compiler
from pixelrnn.ops import choices, native_taps
from pixelrnn.ops.tap_conv import reference, tap_conv

ROW = [(0, 0), (0, 1), (0, 2), (0, 3)]
SQUARE = [(0, 0), (0, 1), (0, 2), (1, -2), (1, -1), (1, 0), (1, 2), (2, -1), (2, 0)]
SIZES = [(1, 1, 1), (1, 6, 2), (5, 1, 2), (2, 2, 3), (4, 5, 1)]  # H, W, B


def draw(size, offsets, dtype=torch.float64):
    shapes = (*size, 4), (len(offsets), 5, 4), (5,)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def by_conv2d(x, weight, bias, offsets):
    """One kernel that holds all taps, wide enough for the farthest."""
    reach = max(max(up, abs(left)) for up, left in offsets)
    kernel = weight.new_zeros(5, 4, 2 * reach + 1, 2 * reach + 1)
    for matrix, (up, left) in zip(weight, offsets, strict=True):
        kernel[:, :, reach - up, reach - left] = matrix
    return F.conv2d(x.permute(2, 3, 0, 1), kernel, bias, padding=reach).permute(2, 3, 0, 1)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("offsets", [ROW[:1], ROW[:2], ROW, SQUARE], ids=len)
def test_equals_reference_and_conv2d(size, offsets):
    inputs = draw(size, offsets)
    upstream = torch.randn(*size, 5, dtype=torch.float64)
    results = []
    for conv in (tap_conv, reference, by_conv2d):
        y = conv(*inputs, offsets)
        results.append([y, *torch.autograd.grad(y, inputs, upstream)])
    ours, *others = results
    for theirs in others:
        assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, theirs, strict=True))


def test_derivatives_of_both_orders():
    inputs = draw((2, 3, 1), SQUARE)
    assert torch.autograd.gradcheck(lambda *x: tap_conv(*x, SQUARE), inputs)
    assert torch.autograd.gradgradcheck(lambda *x: tap_conv(*x, SQUARE), inputs)
    x, weight, bias = inputs
    for frozen in (x, weight, bias):  # as the weights of a part that is not trained
        frozen.requires_grad_(False)
        assert torch.autograd.gradgradcheck(lambda *x: tap_conv(*x, SQUARE), inputs)
        frozen.requires_grad_()


def test_autocast():
    inputs = draw((2, 3, 4), SQUARE, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = tap_conv(*inputs, SQUARE)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    # 9 taps of 4 products: rounding of terms near 1 to 8 bits, 37 times
    assert torch.allclose(y.float(), tap_conv(*inputs, SQUARE), atol=37 * 2**-8)
    assert all(tensor.grad.dtype == torch.float32 for tensor in inputs)


NATIVE = [  # H, W, B, features in and out: chunks that are cut, and widths that are filled up
    (1, 1, 1, 1, 1),
    (3, 5, 2, 16, 32),
    (4, 6, 3, 5, 70),
    (2, 30, 16, 64, 16),
    (3, 4, 250, 16, 16),
]


def drawn_for_native(size, offsets):
    *map_size, inputs, outputs = size
    x = torch.randn(*map_size, inputs)
    weight = torch.randn(len(offsets), outputs, inputs) / (len(offsets) * inputs) ** 0.5
    return x, weight, torch.randn(outputs), torch.randn(*map_size, outputs)


def values_and_gradients(conv, x, weight, bias, upstream, offsets, dtype=torch.float32):
    inputs = [tensor.to(dtype).requires_grad_() for tensor in (x, weight, bias)]
    y = conv(*inputs, offsets)
    return [y, *torch.autograd.grad(y, inputs, upstream.to(dtype))]


@pytest.mark.parametrize("offsets", [ROW[:1], ROW[:2], SQUARE, [(0, 0), (3, 4), (0, -5)]], ids=len)
@pytest.mark.parametrize("size", NATIVE, ids=str)
def test_the_native_products_are_those_of_the_reference(size, offsets):
    drawn = drawn_for_native(size, offsets)
    assert native_taps.served(drawn[0], drawn[1])
    found = values_and_gradients(tap_conv, *drawn, offsets)
    exact = values_and_gradients(reference, *drawn, offsets, torch.float64)
    for ours, theirs in zip(found, exact, strict=True):  # sums of up to 3000 terms near 1
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 1e-5 * (1e-3 + theirs.abs().max())


def test_native_products_are_the_same_bits_on_any_threads_and_in_any_batch():
    x, weight, bias, upstream = drawn_for_native((12, 12, 40, 16, 32), SQUARE)
    with threads.limited(1):
        one = values_and_gradients(tap_conv, x, weight, bias, upstream, SQUARE)
    with threads.limited(3):
        several = values_and_gradients(tap_conv, x, weight, bias, upstream, SQUARE)
        alone = tap_conv(x[:, :, 7:8], weight, bias, SQUARE)
    assert all(map(torch.equal, one, several))
    assert torch.equal(alone, one[0][:, :, 7:8])


def test_without_a_compiler_a_library_multiplies(monkeypatch):
    drawn = drawn_for_native((3, 5, 2, 16, 32), SQUARE)
    ours = values_and_gradients(tap_conv, *drawn, SQUARE)
    monkeypatch.setattr(compiler, "_outcome", lambda _: "no C++ compiler")
    assert not native_taps.served(drawn[0], drawn[1])
    library = values_and_gradients(tap_conv, *drawn, SQUARE)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, library, strict=True))


def test_a_weight_that_is_learnt_alone():
    x, weight, bias, upstream = drawn_for_native((3, 5, 2, 16, 32), SQUARE)
    weight.requires_grad_()
    (found,) = torch.autograd.grad(tap_conv(x, weight, bias, SQUARE), weight, upstream)
    (expected,) = torch.autograd.grad(reference(x, weight, bias, SQUARE), weight, upstream)
    assert torch.allclose(found, expected, atol=1e-4)


def test_it_is_noted_which_code_multiplies():
    choices.forget()
    x, weight, bias, _ = drawn_for_native((3, 5, 2, 16, 32), SQUARE)
    for native in (True, False, True):
        tap_conv(x, weight, bias, SQUARE, native)
    assert choices.lines() == [
        "tap_conv kernel: native",
        "tap_conv kernel: products of a library",
    ]
