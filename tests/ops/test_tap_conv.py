import pytest
import torch
from torch.nn import functional as F

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


def test_autocast():
    inputs = draw((2, 3, 4), SQUARE, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = tap_conv(*inputs, SQUARE)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    # 9 taps of 4 products: rounding of terms near 1 to 8 bits, 37 times
    assert torch.allclose(y.float(), tap_conv(*inputs, SQUARE), atol=37 * 2**-8)
    assert all(tensor.grad.dtype == torch.float32 for tensor in inputs)
