"""Which places of which lines a recurrence has to compute: all of them, or those not held.

Axes: `T` steps, `L` places on a line, `K` kernel taps. Plans live on the host, are few (one per
image size) and are kept, with what a device needs of them, so that a GPU is never waited for.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Line(NamedTuple):
    """Where things of one step lie, in places."""

    start: int  # first active place of the line
    size: int  # number of active places
    stored: int  # of the first active place among activations
    state: int  # of its c among states
    before: int  # of the c before it
    below: int  # places before the active ones whose (initial) c is stored too
    above: int  # such places after them


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

    @lru_cache  # noqa: B019 - plans are few, and kept
    def held_index(self, device: torch.device) -> Tensor:
        """Held places, t * L + l: int64."""
        return (~self.active).flatten().nonzero().flatten().to(device)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Per step the smallest range that holds its active places and those of the step after."""
        spans = []
        for step in range(len(self.ranges)):
            nearby = [r for r in self.ranges[step : step + 2] if r[0] < r[1]] or [(0, 0)]
            spans.append((min(r[0] for r in nearby), max(r[1] for r in nearby)))
        return spans

    @cached_property
    def lines(self) -> list[Line]:
        """Per step what is stored where."""
        lines = []
        stored, state = 0, self.sizes[0]  # states: behind those of the initial line
        origin = -self.ranges[0][0]  # of the states of the line before: where place 0 would be
        for (start, stop), (low, high) in zip(self.ranges, self.spans, strict=True):
            own = state - low + start
            lines.append(
                Line(start, stop - start, stored, own, origin + start, start - low, high - stop)
            )
            stored += stop - start
            origin = state - low
            state += high - low
        return lines

    @cached_property
    def table(self) -> Tensor:
        """`lines` as `native_loops.cpp` takes them: int64, (T, 7)."""
        return torch.tensor(self.lines, dtype=torch.int64).view(-1, len(Line._fields))

    @cached_property
    def states(self) -> int:
        """Number of places whose c is stored, the initial line's included."""
        return self.sizes[0] + sum(high - low for low, high in self.spans)

    @lru_cache  # noqa: B019 - plans are few, and kept
    def initial_reads(self, taps: int, pad_before: int, device: torch.device) -> list[Tensor]:
        """Per tap the stored places whose tap reads the initial state: int64, each (reads,)."""
        steps, places = self.active.shape
        computed = torch.zeros(steps, places + taps - 1, dtype=torch.bool)
        computed[1:, pad_before : pad_before + places] = self.active[:-1]
        order = self.active.flatten().cumsum(0) - 1
        return [
            order[(self.active & ~computed[:, tap : tap + places]).flatten()].to(device)
            for tap in range(taps)
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
