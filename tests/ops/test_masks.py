import pytest
import torch

from pixelrnn.ops import masks


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5, 128, 512, 1024])
def test_first_groups_take_the_remainder(features):
    sizes = masks.group_sizes(features, 3)
    assert sum(sizes) == features
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1
    joined = [i for s in masks.group_slices(features, 3) for i in range(features)[s]]
    assert joined == list(range(features))


def test_groups_are_those_of_the_slices():
    index = masks.group_index(7, 3, parts=2)
    assert index.tolist() == [0, 0, 0, 1, 1, 2, 2] * 2


def by_hand(mask_type, in_features, out_features, size, groups, parts):
    """Figure 2, cell by cell."""
    group_in = masks.group_index(in_features, groups).tolist()
    group_out = masks.group_index(out_features, groups, parts).tolist()
    mask = torch.zeros(len(group_out), in_features, *size, dtype=torch.bool)
    for o, go in enumerate(group_out):
        for i, gi in enumerate(group_in):
            for r in range(size[0]):
                for c in range(size[1]):
                    if (r, c) < (size[0] // 2, size[1] // 2):
                        mask[o, i, r, c] = True
                    elif (r, c) == (size[0] // 2, size[1] // 2):
                        mask[o, i, r, c] = gi < go or (mask_type == "B" and gi == go)
    return mask


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (3, 3), (5, 7)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 4])
def test_mask_is_figure_2(mask_type, size, groups, parts):
    found = masks.causal_mask(mask_type, 5, 4, size, groups, parts)
    assert torch.equal(found, by_hand(mask_type, 5, 4, size, groups, parts))


def test_mask_a_of_one_group_hides_the_centre_and_b_shows_it():
    assert not masks.causal_mask("A", 2, 2, (3, 3), 1)[:, :, 1, 1].any()
    assert masks.causal_mask("B", 2, 2, (3, 3), 1)[:, :, 1, 1].all()
