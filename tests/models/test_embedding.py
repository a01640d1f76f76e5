"""Embedded symbols have no order, and are counted among the parameters."""

import pytest
import torch

from pixelrnn.models import GatedPixelCNN, MultiScale, PixelCNN
from pixelrnn.models.causal import CausalModel
from tests.helpers import CAUSAL, name_of, random_images

LEVELS = 6
EMBEDDED = [case for case in CAUSAL if "embedded" in case.name]


@pytest.mark.parametrize("case", EMBEDDED, ids=name_of)
def test_symbols_may_be_renamed(case):
    """With the rows of the table and of the last layer in another order, nothing else changes."""
    model, images = case((2, 3, 4), LEVELS), random_images(3, (2, 3, 4), LEVELS)
    expected = model.log_prob(images)
    new_name = torch.randperm(LEVELS, generator=torch.Generator().manual_seed(1))
    old_name = new_name.argsort()
    with torch.no_grad():
        model.embedding.weight.copy_(model.embedding.weight[:, old_name])
        last = model.head.layers[-1]
        for part in (last.weight, last.bias):
            part.copy_(part.unflatten(0, (2, LEVELS))[:, old_name].flatten(0, 1))
    assert torch.allclose(model.log_prob(new_name[images.long()].to(torch.uint8)), expected)
    assert not torch.allclose(model.log_prob(images), expected)


def test_the_table_counts_as_parameters():
    def parameters(**settings):
        model = PixelCNN((3, 4, 4), 300, hidden=4, layers=1, first_kernel_size=3, **settings)
        return sum(weight.numel() for weight in model.parameters())

    table, stem = 3 * 300 * 5, 8 * 3 * 9  # colours x levels x features; of the stem, per feature
    assert parameters(embed=5) - parameters() == table + stem * (5 - 1)


def test_codes_are_no_pictures():
    small = GatedPixelCNN((1, 2, 2), 4, hidden=4, layers=1, embed=3)
    large = GatedPixelCNN((1, 4, 4), 4, hidden=4, layers=1, embed=3, map_features=2)
    assert not small.pictured
    assert not MultiScale(small, large).pictured
    assert GatedPixelCNN((1, 2, 2), 4, hidden=4, layers=1).pictured
    assert not PixelCNN((1, 2, 2), 257, hidden=4, layers=1).pictured


def test_colour_groups_must_be_of_whole_colours():
    class Two(CausalModel):
        def compose(self, pixels, run):
            raise NotImplementedError

    with pytest.raises(ValueError, match="embed needs one colour group or one for each colour: 2"):
        Two((3, 2, 2), 4, color_groups=2, embed=2)
