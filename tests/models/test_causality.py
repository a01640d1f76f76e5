"""No conditional depends on its own or a later sub-pixel, to the last bit."""

import pytest
import torch

from tests.helpers import CATALOGUE, CAUSAL, name_of, random_images

SHAPES = [(1, 4, 5), (3, 3, 4), (1, 1, 6), (1, 6, 1), (3, 1, 2), (2, 3, 3)]


def places_in_order(model):
    """Sub-pixels (colour, row, column) in the order of generation."""
    colors, height, width = model.image_shape
    raster = [(k, r, c) for r in range(height) for c in range(width) for k in range(colors)]
    return [raster[index] for index in model.order.tolist()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_the_future_changes_nothing(case, shape, dtype):
    model = case(shape, 4, dtype=dtype)
    places = places_in_order(model)
    images = random_images(1, shape, 4)
    with torch.no_grad():
        before = model.conditionals(images)
        for index in range(len(places)):
            changed = images.clone()
            for later in places[index:]:
                changed[0][later] = (changed[0][later] + 1 + index % 3) % 4
            after = model.conditionals(changed)
            for k, r, c in places[: index + 1]:
                assert torch.equal(before[0, k, :, r, c], after[0, k, :, r, c])


@pytest.mark.usefixtures("no_dead_relu")
@pytest.mark.parametrize("case", CAUSAL, ids=name_of)
def test_colours_see_each_other_or_not(case):
    """Within a pixel colour 1 depends on colour 0 exactly if colour conditioning is on."""
    model = case((3, 2, 2), 4)
    images = random_images(1, (3, 2, 2), 4)
    changed = images.clone()
    changed[0, 0, 1, 0] = (changed[0, 0, 1, 0] + 1) % 4
    with torch.no_grad():
        before, after = model.conditionals(images), model.conditionals(changed)
    sees = not torch.equal(before[0, 1, :, 1, 0], after[0, 1, :, 1, 0])
    assert sees == (model.color_groups == 3 or model.likelihood.ties_colors)
    # the next pixel sees every colour of this one, unless the kernels are one pixel wide
    if "narrow" not in case.name:
        assert not torch.equal(before[0, 0, :, 1, 1], after[0, 0, :, 1, 1])
