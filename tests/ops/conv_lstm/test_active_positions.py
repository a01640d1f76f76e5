import torch

from pixelrnn.ops import skew
from pixelrnn.ops.conv_lstm.active_positions import (
    active_positions,
    disjoint,
    mask_objection,
    tap_ranges,
)


def test_nothing_is_frozen():
    active = active_positions(None, 2, 3)
    assert active.all_active
    assert active.ranges == active.spans == [(0, 3), (0, 3)]
    assert active_positions(None, 2, 3) is active


def test_skewed_image():
    active = active_positions(skew.outside_image(3, 2), 4, 3)
    assert active.ranges == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert active.sizes == [1, 2, 2, 1]
    assert active.spans == [(0, 2), (0, 3), (1, 3), (2, 3)]
    # Stored positions: (0,0) (1,0) (1,1) (2,1) (2,2) (3,2). The upper tap leaves the image in
    # row 0, the left one in column 0.
    upper, left = active.initial_reads(2, 1, torch.device("cpu"))
    assert upper.tolist() == [0, 1]
    assert left.tolist() == [0, 2, 4]


def test_where_things_lie():
    """What is stored fills its memory, each c where the next line looks for it."""
    active = active_positions(skew.outside_image(3, 2), 4, 3)
    stored = [
        position
        for line in active.lines
        for position in range(line.stored, line.stored + line.size)
    ]
    assert stored == list(range(6))
    written = list(range(active.sizes[0]))
    for line in active.lines:
        written += range(line.state - line.below, line.state + line.size + line.above)
    assert written == list(range(active.states))
    first, second, *_ = active.lines
    assert first.before == 0
    assert (first.state, first.above) == (1, 1)  # position 1 enters next: its initial c is stored
    assert second.before == first.state


def test_a_line_without_active_places():
    frozen = torch.tensor([[True, True], [False, True]])
    active = active_positions(frozen, 2, 2)
    assert active.sizes == [0, 1]
    assert active.spans == [(0, 1), (0, 1)]


def test_tap_ranges():
    assert tap_ranges((0, 4), (0, 4), 3, 1) == [(0, 1, 4), (1, 0, 4), (2, 0, 3)]
    assert tap_ranges((1, 3), (0, 2), 2, 1) == [(0, 1, 3), (1, 1, 2)]
    assert tap_ranges((0, 1), (3, 4), 1, 0) == []


def test_problems():
    assert mask_objection(None) is None
    assert mask_objection(skew.outside_image(4, 2)) is None
    assert "every line" in mask_objection(torch.tensor([[False, True, False]]))
    assert "every position" in mask_objection(torch.tensor([[False], [True], [False]]))


def test_disjoint():
    active = active_positions(skew.outside_image(3, 4), 6, 3)
    assert disjoint(active, 10, 3 * 10, 10)
    assert not disjoint(active, 10, 2 * 10, 10)
    assert not disjoint(active_positions(None, 6, 3), 10, 3 * 10, 10)
