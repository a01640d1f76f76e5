import pytest
import torch
from torch.nn import functional as F

from pixelrnn.ops.row_conv import row_conv


def by_conv2d(x, weight, bias):
    kernel = weight.flip(0).permute(1, 2, 0)[:, :, None]  # (O, I, 1, K)
    padded = F.pad(x.permute(0, 2, 3, 1).flatten(0, 1)[:, :, None], (len(weight) - 1, 0))
    y = F.conv2d(padded, kernel, bias)[:, :, 0]  # (H * B, O, W)
    return y.unflatten(0, (x.shape[0], x.shape[2])).permute(0, 3, 1, 2)


@pytest.mark.parametrize("width", [1, 2, 6])
@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_equals_conv2d(width, taps):
    shapes = (3, width, 2, 4), (taps, 5, 4), (5,)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    upstream = torch.randn(3, width, 2, 5, dtype=torch.float64)
    ours, theirs = row_conv(*inputs), by_conv2d(*inputs)
    assert torch.allclose(ours, theirs, atol=1e-12)
    pairs = zip(*(torch.autograd.grad(y, inputs, upstream) for y in (ours, theirs)), strict=True)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in pairs)


def test_gradcheck():
    shapes = (2, 3, 1, 2), (2, 3, 2), (3,)
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(row_conv, inputs)


def test_autocast():
    inputs = [torch.randn(s, requires_grad=True) for s in ((2, 3, 4, 8), (2, 5, 8), (5,))]
    with torch.autocast("cpu", torch.bfloat16):
        y = row_conv(*inputs)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y.float(), row_conv(*inputs), atol=0.1)
    assert all(tensor.grad.dtype == torch.float32 for tensor in inputs)


def test_second_derivative_is_refused():
    inputs = [torch.randn(shape, requires_grad=True) for shape in ((2, 3, 1, 2), (2, 3, 2), (3,))]
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(row_conv(*inputs).sum(), inputs, create_graph=True)
