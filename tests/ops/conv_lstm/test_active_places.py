import torch

from pixelrnn.ops import skew
from pixelrnn.ops.conv_lstm import active_places as plans


def test_nothing_held():
    plan = plans.make(None, 2, 3)
    assert plan.whole
    assert plan.ranges == plan.spans == [(0, 3), (0, 3)]
    assert plans.make(None, 2, 3) is plan


def test_skewed_image():
    plan = plans.make(skew.outside_image(3, 2), 4, 3)
    assert plan.ranges == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert plan.sizes == [1, 2, 2, 1]
    assert plan.spans == [(0, 2), (0, 3), (1, 3), (2, 3)]
    # Stored places: (0,0) (1,0) (1,1) (2,1) (2,2) (3,2). The upper tap leaves the image in row 0,
    # the left one in column 0.
    upper, left = plan.initial_reads(2, 1, torch.device("cpu"))
    assert upper.tolist() == [0, 1]
    assert left.tolist() == [0, 2, 4]


def test_where_things_lie():
    """What is stored fills its room: every place once, each c where the next line looks for it."""
    plan = plans.make(skew.outside_image(3, 2), 4, 3)
    stored = [place for line in plan.lines for place in range(line.stored, line.stored + line.size)]
    assert stored == list(range(6))
    written = list(range(plan.sizes[0]))
    for line in plan.lines:
        written += range(line.state - line.below, line.state + line.size + line.above)
    assert written == list(range(plan.states))
    first, second, *_ = plan.lines
    assert first.before == 0
    assert (first.state, first.above) == (1, 1)  # place 1 enters next: its initial c is stored
    assert second.before == first.state


def test_a_line_without_active_places():
    held = torch.tensor([[True, True], [False, True]])
    plan = plans.make(held, 2, 2)
    assert plan.sizes == [0, 1]
    assert plan.spans == [(0, 1), (0, 1)]


def test_tap_ranges():
    assert plans.tap_ranges((0, 4), (0, 4), 3, 1) == [(0, 1, 4), (1, 0, 4), (2, 0, 3)]
    assert plans.tap_ranges((1, 3), (0, 2), 2, 1) == [(0, 1, 3), (1, 1, 2)]
    assert plans.tap_ranges((0, 1), (3, 4), 1, 0) == []


def test_problems():
    assert plans.problem(None) is None
    assert plans.problem(skew.outside_image(4, 2)) is None
    assert "every line" in plans.problem(torch.tensor([[False, True, False]]))
    assert "every place" in plans.problem(torch.tensor([[False], [True], [False]]))


def test_apart():
    plan = plans.make(skew.outside_image(3, 4), 6, 3)
    assert plans.apart(plan, 10, 3 * 10, 10)
    assert not plans.apart(plan, 10, 2 * 10, 10)
    assert not plans.apart(plans.make(None, 6, 3), 10, 3 * 10, 10)
