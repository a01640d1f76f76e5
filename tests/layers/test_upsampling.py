"""The upsampling network: by convolutions of torch, and by products that know no batch."""

import pytest
import torch
from torch import nn

from pixelrnn import threads
from pixelrnn.layers.upsampling import Upsampling


def network(factor, resize="deconvolution", depth=1, dtype=torch.float64):
    torch.manual_seed(0)
    return Upsampling(2, 5, factor, 6, depth, resize).to(dtype)


@pytest.mark.parametrize("resize", ["deconvolution", "nearest"])
@pytest.mark.parametrize("factor", [(1, 1), (2, 2), (3, 2), (1, 4)], ids=str)
@pytest.mark.parametrize("small", [(3, 4), (1, 5), (4, 1), (1, 1)], ids=str)
def test_products_are_the_convolutions(small, factor, resize):
    model = network(factor, resize, depth=2)
    full = (small[0] * factor[0], small[1] * factor[1])
    for size in (full, (max(1, full[0] - factor[0] + 1), max(1, full[1] - factor[1] + 1))):
        for batch in (0, 1, 3):
            x = torch.randn(batch, 2, *small, dtype=torch.float64)
            expected = model(x, size)
            assert expected.shape == (batch, 5, *size)
            found = model.by_products(x, size)
            assert not found.requires_grad
            torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("resize", ["deconvolution", "nearest"])
def test_a_relu_comes_after_every_layer_but_the_last(resize):
    """The layers one after the other, as torch has them."""
    model, x = network((2, 3), resize), torch.randn(2, 2, 3, 4, dtype=torch.float64)
    y = model.before[0](x).relu()
    if model.deconvolution is None:
        y = y.repeat_interleave(2, dim=2).repeat_interleave(3, dim=3)
    else:
        y = model.deconvolution(y).relu()
    expected = model.out(model.after[0](y[:, :, :5, :11]).relu())
    assert torch.equal(model(x, (5, 11)), expected)


@pytest.mark.parametrize("factor", [(2, 2), (3, 1)], ids=str)
def test_a_deconvolution_gives_each_pixel_its_block(factor):
    """Where only the centre of its kernel is not zero, pixel (r, c) begins at (f r, f c)."""
    model = network(factor)
    nn.init.zeros_(model.deconvolution.bias)
    with torch.no_grad():
        model.deconvolution.weight.zero_()
        block = model.deconvolution.weight[:, :, factor[0] // 2 :, factor[1] // 2 :][
            :, :, : factor[0], : factor[1]
        ]
        block.copy_(torch.eye(6)[:, :, None, None].expand_as(block))
    x = torch.rand(2, 6, 3, 4, dtype=torch.float64)
    repeated = x.repeat_interleave(factor[0], dim=2).repeat_interleave(factor[1], dim=3)
    assert torch.equal(model.deconvolution(x), repeated)


@pytest.mark.parametrize("resize", ["deconvolution", "nearest"])
def test_float32_features_are_the_same_in_any_batch_and_on_any_threads(resize):
    model = network((2, 2), resize, depth=2, dtype=torch.float32)
    x = torch.randn(9, 2, 5, 7)
    together = model.by_products(x, (10, 13))
    for members, count in ((range(9), 2), (range(4), 1), ([5], 2)):
        with threads.limited(count):
            assert torch.equal(
                model.by_products(x[list(members)], (10, 13)), together[list(members)]
            )


def test_every_pixel_of_the_small_image_is_in_sight():
    """Below and on the right, too: nothing is masked."""
    model = network((2, 2), depth=2)
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    model(x, (6, 6))[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, 2, 2].abs().sum() > 0
