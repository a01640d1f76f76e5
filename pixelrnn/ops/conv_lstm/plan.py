"""Which places of which lines a recurrence has to compute: all of them, or those not held.

Axes: `T` steps, `L` places on a line, `K` kernel taps. Everything here lives on the host, so that a
GPU is never waited for; plans are few (one per image size) and kept.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Plan:
    """The active places of each line are one range; what is stored holds only those, in order."""

    active: Tensor  # (T, L) bool

    @cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """Per step the active places, [start, stop)."""
        starts, sizes = self.active.int().argmax(1).tolist(), self.active.sum(1).tolist()
        return [(start, start + size) for start, size in zip(starts, sizes, strict=True)]

    @cached_property
    def sizes(self) -> list[int]:
        """Per step the number of active places."""
        return [stop - start for start, stop in self.ranges]

    @cached_property
    def whole(self) -> bool:
        """Nothing is held."""
        return bool(self.active.all())

    @cached_property
    def held_index(self) -> Tensor:
        """Held places, t * L + l: int64."""
        return (~self.active).flatten().nonzero().flatten()

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Per step the smallest range that holds its active places and those of the step after."""
        spans = []
        for step in range(len(self.ranges)):
            nearby = [r for r in self.ranges[step : step + 2] if r[0] < r[1]] or [(0, 0)]
            spans.append((min(r[0] for r in nearby), max(r[1] for r in nearby)))
        return spans

    @cached_property
    def lines(self) -> Tensor:
        """Per step where `loop.cpp` finds things (its struct Line): int64, (T, 7)."""
        rows = []
        stored = 0
        state = before = self.sizes[0]  # behind the initial line's states
        for step, ((start, stop), (low, high)) in enumerate(
            zip(self.ranges, self.spans, strict=True)
        ):
            own = state + start - low
            before = before + start if step else 0
            rows.append((start, stop - start, stored, own, before, start - low, high - stop))
            stored += stop - start
            before = state - low
            state += high - low
        return torch.tensor(rows)

    @cached_property
    def states(self) -> int:
        """Number of places whose c is stored, the initial line's included."""
        return self.sizes[0] + sum(high - low for low, high in self.spans)

    def initial_reads(self, taps: int, pad_before: int) -> list[Tensor]:
        """Per tap the stored places whose tap reads the initial state: int64, each (reads,)."""
        steps, places = self.active.shape
        computed = torch.zeros(steps, places + taps - 1, dtype=torch.bool)
        computed[1:, pad_before : pad_before + places] = self.active[:-1]
        order = self.active.flatten().cumsum(0) - 1
        return [
            order[(self.active & ~computed[:, tap : tap + places]).flatten()] for tap in range(taps)
        ]


@lru_cache(maxsize=64)
def apart(plan: Plan, line: int, place: int, size: int) -> bool:
    """Do active places, `size` elements each, lie apart in a tensor of these strides?"""
    steps, places = plan.active.shape
    address = torch.arange(steps)[:, None] * line + torch.arange(places) * place
    address = address[plan.active].sort().values
    return bool((address.diff() >= size).all())


def problem(held: Tensor | None) -> str | None:
    """What stands against a plan for these held places, or None."""
    if held is None:
        return None
    if held.device.type != "cpu":
        return "held must live on the CPU"
    for axis, name in ((1, "line"), (0, "place")):
        ends = torch.zeros_like(held.narrow(axis, 0, 1))
        active = torch.cat([ends, ~held, ends], axis).int()
        if (active.diff(dim=axis) == 1).sum(axis).max() > 1:
            return f"held must leave one unbroken range of every {name}"
    return None


def make(held: Tensor | None, steps: int, places: int) -> Plan:
    """The plan for these held places, made once."""
    return _make(None if held is None else held.numpy().tobytes(), steps, places)


@lru_cache(maxsize=64)
def _make(held: bytes | None, steps: int, places: int) -> Plan:
    if held is None:
        return Plan(torch.ones(steps, places, dtype=torch.bool))
    mask = torch.frombuffer(bytearray(held), dtype=torch.bool)
    return Plan(~mask.view(steps, places))


class TapRange(NamedTuple):
    """Places [start, stop) of a line whose tap falls on active places of the line before."""

    tap: int
    start: int
    stop: int


def tap_ranges(
    reading: tuple[int, int], read: tuple[int, int], taps: int, pad_before: int
) -> list[TapRange]:
    """Per tap the places of `reading` from which it falls into `read`; none are left out."""
    found = []
    for tap in range(taps):
        shift = tap - pad_before
        start, stop = max(reading[0], read[0] - shift), min(reading[1], read[1] - shift)
        if start < stop:
            found.append(TapRange(tap, start, stop))
    return found
