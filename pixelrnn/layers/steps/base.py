"""What the steps of all layers have in common: their contract, their memory, their views.

A network generates colour by colour. In a *substep* its composition runs on the features of one
colour group at one pixel, (B, features of the group), and every layer is replaced by its *step*
(README.md of this room shows the picture). A step redoes nothing of the colours, pixels and rows
before it, and the layer stays a plain function with weights.

Products are bound by overhead here, not by arithmetic, so that steps

- hoist what a row's positions get from the rows above into one product when the row begins,
- add an input, when it comes, to all that sees it in its own pixel: one product per substep,
- cut their buffers into views once, pack their weights once (`ops.few_rows`), compute in place.

Axes: `B` batch, `W` width of the image, `R` rows, `K` taps along the row, `F` features.
"""

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from torch import Tensor

from pixelrnn.ops import masks
from pixelrnn.ops.conv_lstm.single_position import Advance, advance_of

T = TypeVar("T")


@dataclasses.dataclass
class State:
    """Named tensors, each with the batch as its first axis; a subclass is a dataclass of them."""

    def repeat(self, n: int | Tensor) -> Self:
        """Copy into memory for a larger batch: each image n times, or n[image] times, in a row."""
        tensors = (getattr(self, field.name) for field in dataclasses.fields(self))
        return type(self)(*(repeated(tensor, n) for tensor in tensors))


def repeated(tensor: Tensor, n: int | Tensor) -> Tensor:
    """Copy a tensor (B, ...) into new memory: each row n times, or n[row] times, in a row."""
    count = n.to(tensor.device) if isinstance(n, Tensor) else n
    return tensor.repeat_interleave(count, dim=0).clone()


class Memory(ABC):
    """Prepared weights, which never change, and a state that remembers the positions before.

    A subclass keeps everything that has a batch axis in `State` attributes, or in attributes that
    are a `Memory` themselves or lists of such, and writes `bind`.
    """

    @abstractmethod
    def bind(self) -> None:
        """Cut the state into views and bind the prepared calls to them."""

    def copy(self) -> Self:
        """Make a copy; both then go on independently. Weights are shared."""
        return self.repeat(1)

    def repeat(self, n: int | Tensor) -> Self:
        """Make a copy for a larger batch: each image n times, or n[image] times, side by side."""
        twin = copy.copy(self)
        for name, part in vars(self).items():
            setattr(twin, name, _repeated(part, n))
        twin.bind()
        return twin


def _repeated(part: Any, n: int | Tensor) -> Any:
    """Repeat what has a batch axis; all else, which never changes, stays as it is."""
    if isinstance(part, State | Memory):
        return part.repeat(n)
    if isinstance(part, list) and any(isinstance(item, Memory) for item in part):
        return [_repeated(item, n) for item in part]
    return part


class Step(Memory):
    """A layer at one position, made by `layer.step(batch, width, context)`.

    For every row `begin_row` is called once, then the step itself for every colour group of every
    pixel, in raster order.

    Attributes:
        remembers: False if nothing of a pixel matters at later ones. Such a step may be left out at
            a pixel whose outputs nobody asks for.
        repeats: True if a call consists of what `ops.recorded` is told of alone (products, cells,
            attention, functions of rows, `added`), on buffers that are cut evenly from column to
            column. What a network of such steps does is recorded, and repeated by one call.
    """

    remembers = True
    repeats = False

    @abstractmethod
    def begin_row(self, row: int) -> None:
        """Prepare a row, at least 0: all inputs of the rows above are known.

        A layer that sees the rows above alone may compute its whole row here.
        """

    @abstractmethod
    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at one pixel.

        Args:
            x: (B, in of the group).
            column: of the pixel.
            group: colour group.

        Returns:
            (B, out of the group), valid until the next pixel.
        """


class InputStep(Step):
    """The step of a layer that sees the network's input: under mask A, or beside its own.

    The input of the colour group that it is called for is not known yet: under mask A it ignores
    that x. `see` tells it each input as soon as it is known.
    """

    @abstractmethod
    def see(self, x: Tensor, column: int, group: int) -> None:
        """Take in the network's input of one colour group: (B, colours of the group), scaled."""


def group_order(features: int, color_groups: int, parts: int) -> Tensor:
    """Return the order that gathers a colour's features of all parts: int64, (parts * features,).

    An LSTM's gates are split gate first, colour second; its steps want colour first.
    """
    return masks.group_index(features, color_groups, parts).argsort(stable=True)


def group_columns(features: int, color_groups: int, parts: int) -> list[slice]:
    """Return where each colour lies in `group_order`."""
    slices = masks.group_slices(features, color_groups)
    return [slice(group.start * parts, group.stop * parts) for group in slices]


class PerColumn(Generic[T]):
    """Something for every column of a row, made when it is asked for.

    A walk that repeats what it has recorded asks for few columns.

    Args:
        make: makes that of a column. It must not know the step that keeps this: a circle would keep
            the memory of a walk until the next collection of garbage.
    """

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def __getitem__(self, column: int) -> T:
        """Return that of a column."""
        found = self._made.get(column)
        if found is None:
            found = self._made[column] = self._make(column)
        return found


def views(row: Tensor, groups: list[slice]) -> PerColumn[list[Tensor]]:
    """Cut a row (B, W, F) into views (B, F_k) of every [column][group]."""
    return PerColumn(lambda column: [row[:, column, group] for group in groups])


def windows(lines: Tensor, taps: int) -> Tensor:
    """Gather what a convolution along rows multiplies its weight (R * K * F, out) with.

    Args:
        lines: (B, R, W + K - 1, F), padded.
        taps: K.

    Returns:
        (B * W, R * K * F): one product for a whole row of the image.
    """
    seen = lines.unfold(2, taps, 1).permute(0, 2, 1, 4, 3)  # (B, W, R, K, F)
    return seen.flatten(2).flatten(0, 1)


def cell_steps(
    gates: PerColumn[list[Tensor]],
    cells: PerColumn[list[Tensor]],
    hiddens: PerColumn[list[Tensor]],
) -> PerColumn[list[Advance]]:
    """Bind equation 3 at every [column][group] of a row.

    Args:
        gates: at [column][group], (B, 4 F_k); overwritten.
        cells: (B, F_k), c before; becomes c after.
        hiddens: (B, F_k), written: h after.
    """

    def bound(column: int) -> list[Advance]:
        buffers = zip(gates[column], cells[column], hiddens[column], strict=True)
        return [advance_of(*of_group) for of_group in buffers]

    return PerColumn(bound)
