"""The width of the head that no one has set."""

import pytest

from pixelrnn.layers.head import default_width
from pixelrnn.models import PixelCNN


@pytest.mark.parametrize(
    ("levels", "width"), [(2, 32), (3, 128), (17, 128), (255, 128), (256, 1024), (257, 256)]
)
def test_the_width_is_the_papers_for_its_levels(levels, width):
    assert default_width(levels) == width
    model = PixelCNN((1, 2, 2), levels, hidden=2, layers=1)
    assert len(model.head.layers[0].bias) == width
