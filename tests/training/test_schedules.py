"""The learning rate of every step, against what the docstrings say."""

import math

import pytest
import torch

from pixelrnn.training.schedules import constant, cosine

RATE = 0.5


def rates(schedule, count, steps=None):
    """The learning rates of so many steps, relative to that of the optimiser."""
    optimizer = torch.optim.SGD([torch.zeros((), requires_grad=True)], lr=RATE)
    moving, found = schedule(optimizer, steps), []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"] / RATE)
        optimizer.step()
        moving.step()
    return found


def test_constant_rises_in_equal_parts_and_stays():
    assert rates(constant(), 3) == [1, 1, 1]
    assert rates(constant(3), 6) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("warmup", [0, 2, 4])
def test_cosine_rises_then_falls_to_its_final_fraction(warmup, final):
    """The first step is never without effect, and after the last one it falls no further."""
    found = rates(cosine(warmup, final), 15, steps=12)
    falls = 12 - warmup
    assert found[:warmup] == pytest.approx([(n + 1) / (warmup + 1) for n in range(warmup)])
    assert found[warmup] == pytest.approx(1)
    once = (1 + math.cos(math.pi / falls)) / 2
    assert found[warmup + 1] == pytest.approx(final + (1 - final) * once)
    assert found[warmup + falls // 2] == pytest.approx((1 + final) / 2)
    assert found[12:] == pytest.approx([final] * 3)
