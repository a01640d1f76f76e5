"""The benchmark of completions draws the same images both ways."""

from benchmarks import sampling
from pixelrnn.models import PixelCNN


def test_shared_completions_are_those_drawn_one_by_one():
    *_, same = sampling.completions(PixelCNN, sampling.QUICK)
    assert same["what"] == "complete, same images, of 32"
    assert same["value"] == 32
