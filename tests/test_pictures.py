import numpy as np
import pytest
import torch

from pixelrnn import pictures

GAP = 96


def ranges(is_gap):
    """The [start, stop) of what lies between gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], is_gap.astype(int), [1]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def cells(canvas):
    """Every picture on the grid, row by row, found by the gaps around it."""
    gap = (canvas == GAP).all(axis=2)
    for top, bottom in ranges(gap.all(axis=1)):
        for left, right in ranges(gap[top:bottom].all(axis=0)):
            yield canvas[top:bottom, left:right]


def shrunk(cell, height, width):
    """A cell with one pixel for each block, all of whose pixels must be the same."""
    factor = cell.shape[0] // height
    assert cell.shape == (height * factor, width * factor, 3)
    small = cell[::factor, ::factor]
    assert (small.repeat(factor, axis=0).repeat(factor, axis=1) == cell).all()
    return small


@pytest.mark.parametrize("colors", [1, 2, 3, 5])
@pytest.mark.parametrize("columns", [None, 1, 3])
@pytest.mark.parametrize("side", [1, 200])
@pytest.mark.parametrize(("levels", "white"), [(2, 1), (4, 3), (256, 255)])
def test_every_pixel_of_every_image_is_shown(colors, columns, side, levels, white):
    drawn = torch.randint(levels, (5, colors, 3, 4), dtype=torch.uint8)
    drawn[drawn == GAP] = 0
    canvas = np.asarray(pictures.grid(drawn, levels, columns, side))
    found = list(cells(canvas))
    shown = drawn if colors == 3 else drawn.view(-1, 1, 3, 4).expand(-1, 3, -1, -1)
    assert len(found) == len(shown)
    for image, cell in zip(shown, found, strict=True):
        shades = shrunk(cell, 3, 4).astype(float) / 255 * white
        assert np.abs(shades - image.permute(1, 2, 0).numpy()).max() < 0.01 * white


def test_black_is_0_and_white_is_the_last_level():
    canvas = np.asarray(pictures.grid(torch.tensor([[[[0, 16]]]], dtype=torch.uint8), 17))
    assert set(np.unique(canvas)) == {0, GAP, 255}


@pytest.mark.parametrize(("count", "columns", "rows", "per_row"), [(5, None, 2, 3), (5, 2, 3, 2)])
def test_the_layout(count, columns, rows, per_row):
    canvas = np.asarray(pictures.grid(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), 2, columns))
    gap = (canvas == GAP).all(axis=2)
    found = ranges(gap.all(axis=1))
    assert len(found) == rows
    assert len(ranges(gap[found[0][0] : found[0][1]].all(axis=0))) == per_row


def test_the_channels_of_an_image_stand_in_one_row():
    drawn = torch.arange(24, dtype=torch.uint8).view(6, 4, 1, 1)
    canvas = np.asarray(pictures.grid(drawn, 24, columns=2))
    gap = (canvas == GAP).all(axis=2)
    found = ranges(gap.all(axis=1))
    assert len(found) == 3
    row = canvas[found[1][0] : found[1][1]]
    shades = [int(row[0, left, 0]) for left, _ in ranges((row == GAP).all(axis=(0, 2)))]
    assert [round(shade * 23 / 255) for shade in shades] == list(range(8, 16))
    wide = np.asarray(pictures.grid(drawn, 24))
    assert wide.shape[1] < 2 * wide.shape[0]


def test_a_picture_is_about_as_wide_as_asked():
    canvas = np.asarray(pictures.grid(torch.zeros(9, 1, 8, 8, dtype=torch.uint8), 2, side=480))
    assert 400 <= canvas.shape[1] <= 500
