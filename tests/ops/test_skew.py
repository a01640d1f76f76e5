import pytest
import torch

from pixelrnn.ops import skew

SIZES = [(1, 1), (1, 5), (5, 1), (3, 4), (4, 3)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_anti_diagonal_is_a_line(height, width):
    image = torch.randn(2, height, width, 3, 2)
    skewed, outside = skew.skew(image), skew.outside_image(height, width)
    assert skewed.shape == (2, height + width - 1, height, 3, 2)
    for t in range(height + width - 1):
        for r in range(height):
            assert outside[t, r] == (not 0 <= t - r < width)
            if not outside[t, r]:
                assert torch.equal(skewed[:, t, r], image[:, r, t - r])
    assert torch.equal(skew.unskew(skewed, width), image)
    assert torch.equal(skew.unskew(skewed.contiguous(), width), image)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_nothing_is_copied(height, width):
    image = torch.randn(2, height, width, 3, 2)
    skewed = skew.skew(image)
    assert skewed.data_ptr() == image.data_ptr()
    assert skew.unskew(skewed, width).data_ptr() == image.data_ptr()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_gradients(height, width):
    image = torch.randn(1, height, width, 1, 2, dtype=torch.float64, requires_grad=True)
    inside = ~skew.outside_image(height, width)[:, :, None, None]

    def inside_only(image):
        return skew.skew(image) * inside

    def there_and_back(image):
        return skew.unskew(skew.skew(image).contiguous(), width)

    assert torch.autograd.gradcheck(inside_only, (image,))
    assert torch.autograd.gradcheck(there_and_back, (image,))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_lies_outside_the_image_gets_no_gradient(height, width):
    outside = skew.outside_image(height, width)
    skewed = torch.randn(2, *outside.shape, 3, 2, requires_grad=True)
    upstream = 1 + torch.rand(2, height, width, 3, 2)
    (gradient,) = torch.autograd.grad(skew.unskew(skewed, width), skewed, upstream)
    assert not gradient[:, outside].any()
    assert (gradient[:, ~outside] >= 1).all()
    assert gradient.sum().item() == pytest.approx(upstream.sum().item())
