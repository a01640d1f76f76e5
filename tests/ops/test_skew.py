import pytest
import torch

from pixelrnn.ops import skew

SIZES = [(1, 1), (1, 5), (5, 1), (3, 4), (4, 3), (6, 6)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_skew_puts_pixel_r_c_at_line_r_plus_c(size):
    height, width = size
    image = torch.randn(height, width, 2, 3)
    skewed = skew.skew(image)
    assert skewed.shape == (height + width - 1, height, 2, 3)
    expected = torch.zeros_like(skewed)
    for r in range(height):
        for c in range(width):
            expected[r + c, r] = image[r, c]
    assert torch.equal(skewed, expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_unskew_undoes_it_without_a_copy(size):
    image = torch.randn(*size, 2, 3)
    skewed = skew.skew(image)
    back = skew.unskew(skewed, size[1])
    assert torch.equal(back, image)
    assert back.untyped_storage().data_ptr() == skewed.untyped_storage().data_ptr()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients(size):
    image = torch.randn(*size, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: skew.unskew(skew.skew(x).sin(), size[1]), image)


def test_before_image_marks_lines_that_have_not_entered():
    outside = skew.before_image(3, 2)
    expected = [[0, 1, 1], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert outside.int().tolist() == expected
