"""Which positions of which lines the recurrence computes: all of them, or those not frozen.

The active positions of a line are one range. What is stored per position holds active ones only, in
order, so this also says where on the memory of a pass each line begins. These objects live on the
host, are few (one per image size) and are kept, with what a device needs of them, so that the loops
never wait for a GPU.

Axes: `T` steps (lines), `L` positions on a line, `K` kernel taps.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class LineLayout(NamedTuple):
    """Where the numbers of one line lie, counted in positions (`LineLayout` of `lines.hpp`)."""

    start: int  # first active position of the line
    size: int  # number of active positions
    stored: int  # index of the first active position among the stored activations
    state: int  # index of its c among the stored states
    before: int  # index of the c of the line before, at the same position
    below: int  # number of positions before the active ones whose (initial) c is stored too
    above: int  # number of such positions after them


class TapRange(NamedTuple):
    """The positions [start, stop) of a line whose tap falls on active ones of the line before."""

    tap: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class ActivePositions:
    """The active positions of every line, and the layout of what is stored for them.

    Attributes:
        mask: (T, L) bool on the CPU, True where the recurrence computes.
    """

    mask: Tensor

    @cached_property
    def ranges(self) -> list[tuple[int, int]]:
        """The active positions of each line, [start, stop)."""
        starts, sizes = self.mask.int().argmax(1).tolist(), self.mask.sum(1).tolist()
        return [(start, start + size) for start, size in zip(starts, sizes, strict=True)]

    @cached_property
    def sizes(self) -> list[int]:
        """The number of active positions of each line."""
        return [stop - start for start, stop in self.ranges]

    @cached_property
    def all_active(self) -> bool:
        """Whether no position is frozen."""
        return bool(self.mask.all())

    @lru_cache  # noqa: B019 - these objects are few, and kept
    def frozen_index(self, device: torch.device) -> Tensor:
        """The frozen positions, t * L + l: int64, (number of them,)."""
        return (~self.mask).flatten().nonzero().flatten().to(device)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """For each line the smallest range that holds its active positions and the next line's."""
        spans = []
        for step in range(len(self.ranges)):
            nearby = [r for r in self.ranges[step : step + 2] if r[0] < r[1]] or [(0, 0)]
            spans.append((min(r[0] for r in nearby), max(r[1] for r in nearby)))
        return spans

    @cached_property
    def lines(self) -> list[LineLayout]:
        """Where the numbers of each line lie."""
        lines = []
        stored, state = 0, self.sizes[0]  # states begin with those of the initial line
        origin = -self.ranges[0][0]  # where position 0 of the line before would be among states
        for (start, stop), (low, high) in zip(self.ranges, self.spans, strict=True):
            own, before = state - low + start, origin + start
            lines.append(
                LineLayout(start, stop - start, stored, own, before, start - low, high - stop)
            )
            stored += stop - start
            origin = state - low
            state += high - low
        return lines

    @cached_property
    def table(self) -> Tensor:
        """`lines` as `native_loops.cpp` takes them: int64, (T, 7)."""
        return torch.tensor(self.lines, dtype=torch.int64).view(-1, len(LineLayout._fields))

    @cached_property
    def states(self) -> int:
        """The number of positions whose c is stored, those of the initial line included."""
        return self.sizes[0] + sum(high - low for low, high in self.spans)

    @lru_cache  # noqa: B019 - these objects are few, and kept
    def initial_reads(self, taps: int, pad_before: int, device: torch.device) -> list[Tensor]:
        """Return per tap the stored positions whose tap reads the initial h: int64, (reads,)."""
        steps, positions = self.mask.shape
        computed = torch.zeros(steps, positions + taps - 1, dtype=torch.bool)
        computed[1:, pad_before : pad_before + positions] = self.mask[:-1]
        order = self.mask.flatten().cumsum(0) - 1
        return [
            order[(self.mask & ~computed[:, tap : tap + positions]).flatten()].to(device)
            for tap in range(taps)
        ]


def active_positions(frozen: Tensor | None, steps: int, positions: int) -> ActivePositions:
    """Return the active positions of T lines of L positions, the same object for the same mask.

    Args:
        frozen: (T, L) bool on the CPU, or None: nothing is frozen.
        steps: T.
        positions: L.
    """
    return _kept(None if frozen is None else frozen.numpy().tobytes(), steps, positions)


@lru_cache(maxsize=64)
def _kept(frozen: bytes | None, steps: int, positions: int) -> ActivePositions:
    if frozen is None:
        return ActivePositions(torch.ones(steps, positions, dtype=torch.bool))
    mask = torch.frombuffer(bytearray(frozen), dtype=torch.bool)
    return ActivePositions(~mask.view(steps, positions))


def mask_objection(frozen: Tensor | None) -> str | None:
    """Return why a mask of frozen positions cannot be taken, or None if it can."""
    if frozen is None:
        return None
    if frozen.device.type != "cpu":
        return "frozen must live on the CPU"
    for axis, name in ((1, "line"), (0, "position")):
        ends = torch.zeros_like(frozen.narrow(axis, 0, 1))
        active = torch.cat([ends, ~frozen, ends], axis).int()
        if (active.diff(dim=axis) == 1).sum(axis).max() > 1:
            return f"frozen must leave one unbroken range of every {name}"
    return None


@lru_cache(maxsize=64)
def disjoint(active: ActivePositions, line: int, position: int, size: int) -> bool:
    """Tell whether active positions share no memory in a tensor of these strides.

    Args:
        active: the active positions.
        line: stride of lines, in elements.
        position: stride of positions, in elements.
        size: number of elements of one position.
    """
    steps, positions = active.mask.shape
    address = torch.arange(steps)[:, None] * line + torch.arange(positions) * position
    address = address[active.mask].sort().values
    return bool((address.diff() >= size).all())


def tap_ranges(
    reading: tuple[int, int], read: tuple[int, int], taps: int, pad_before: int
) -> list[TapRange]:
    """Return per tap the positions of `reading` from which it falls into `read`.

    Taps that fall into none are left out.
    """
    found = []
    for tap in range(taps):
        shift = tap - pad_before
        start, stop = max(reading[0], read[0] - shift), min(reading[1], read[1] - shift)
        if start < stop:
            found.append(TapRange(tap, start, stop))
    return found
