"""Layers one position at a time: what their steps have in common.

A network generates colour by colour. In a *substep* its composition runs on the features of one
colour group at one pixel, (B, features of the group), and every layer is replaced by its *step*,
which holds two things that the layer itself must not: the layer's weights, cut by colour group for
this one generation, and what it remembers of the positions before. So a substep redoes nothing of
the colours, pixels and rows before it, and a layer stays a plain function with weights.

Products are bound by overhead here, not by arithmetic, so that steps

- hoist what a row's positions get from the rows above into one product when the row begins,
- add an input, when it comes, to all that sees it in its own pixel: one product per substep,
- cut their buffers into views once, pack their weights once (`ops.few_rows`), compute in place.

Axes: `B` batch, `W` width of the image, `R` rows, `K` taps along the row, `F` features.
"""

from typing import Protocol

from torch import Tensor

from pixelrnn.ops import masks


class Step(Protocol):
    """A layer at one position. Called for every colour group of every pixel, in raster order.

    A layer's `step(batch, width)` makes one, standing before the first pixel.
    """

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Features of one colour group at one pixel: (B, in of the group) -> (B, out of the group).

        A row begins where column and group are 0. The result is valid until the next pixel. For
        layers under mask A, which see the network's input, x is the input of the substep before.
        """
        ...


def group_order(features: int, groups: int, blocks: int) -> Tensor:
    """Order that gathers a colour's features of all blocks: int64, (blocks * features,).

    An LSTM's gates are split gate first, colour second; its steps want colour first.
    """
    return masks.group_index(features, groups, blocks).argsort(stable=True)


def group_columns(features: int, groups: int, blocks: int) -> list[slice]:
    """Where each colour lies in `group_order`."""
    slices = masks.group_slices(features, groups)
    return [slice(group.start * blocks, group.stop * blocks) for group in slices]


def views(row: Tensor, width: int, groups: list[slice]) -> list[list[Tensor]]:
    """The view of every pixel and colour group of a row: (B, W, F) -> [column][group] (B, F_k)."""
    return [[row[:, column, group] for group in groups] for column in range(width)]


def windows(lines: Tensor, taps: int) -> Tensor:
    """What a convolution along rows multiplies its weight (R * K * F, out) with.

    Args:
        lines: (R, B, W + K - 1, F), padded.
        taps: K.

    Returns:
        (B * W, R * K * F): one product for a whole row of the image.
    """
    seen = lines.unfold(2, taps, 1).permute(1, 2, 0, 4, 3)  # (B, W, R, K, F)
    return seen.flatten(2).flatten(0, 1)
