"""A masked k x k convolution at one position.

Axes: `B` batch, `W` width of the image, `K` taps along the row.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import (
    InputStep,
    PerColumn,
    State,
    Step,
    group_columns,
    group_order,
    views,
    windows,
)
from pixelrnn.layers.steps.conditioning import adding, context_term
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import Product, product

if TYPE_CHECKING:
    from pixelrnn.layers.masked_conv import MaskedConv2d, MaskedWeight


@dataclass
class ConvState(State):
    """What is remembered of the positions before.

    Attributes:
        rows: (B, kh // 2 + 1, W + K - 1, in), the inputs that the kernel still reaches, padded with
            zeros left and right; the last row is the one at hand.
        terms: (B, W, out), the outputs of this row, as far as they are known.
    """

    rows: Tensor
    terms: Tensor


class MaskedConvStep(Step):
    """A k x k convolution under mask B.

    What the rows above add is one product when a row begins. What a pixel gets from the pixels to
    its left, and from its own first colour, lies side by side in memory: one product when the pixel
    begins. Later colours add to the outputs that see them.

    Args:
        conv: the layer, or its weights alone.
        batch: B.
        width: W.
        context: what the images are conditioned on.
        parts: number of parts to compute, the first ones; None: all. The outputs of a colour
            group stand together (`group_order`).
    """

    repeats = True

    def __init__(
        self,
        conv: "MaskedWeight",
        batch: int,
        width: int,
        context: Context | None = None,
        *,
        parts: int | None = None,
    ) -> None:
        features = len(conv.bias) // conv.parts
        parts = parts or conv.parts
        self.order = group_order(features, conv.color_groups, parts)
        self.bias = conv.bias[self.order]  # (out,)
        weight = conv.masked_weight().permute(2, 3, 1, 0)[..., self.order]  # (rows, K, in, out)
        above, (self.taps, in_features, out_features) = len(weight) - 1, weight.shape[1:]
        self.groups_in = masks.group_slices(in_features, conv.color_groups)
        self.groups_out = group_columns(features, conv.color_groups, parts)
        self.above = product(weight[:above].flatten(0, 2))
        self.spans = self._spans(conv.mask_type, in_features)
        own = weight[above].flatten(0, 1)  # (K * in, out) of the pixel's own row
        self.products = [
            product(own[span, out.start :])
            for span, out in zip(self.spans, self.groups_out, strict=True)
        ]
        self.context = context_term(conv.conditioning, context, batch, self.order)
        self.state = ConvState(
            rows=weight.new_zeros(batch, above + 1, width + self.taps - 1, in_features),
            terms=weight.new_empty(batch, width, out_features),
        )
        self.bind()

    def _spans(self, mask_type: masks.MaskType, in_features: int) -> list[slice]:
        """Return, for each colour group, what comes with it of a pixel's window (K * in,).

        With the first group comes all to the left of the pixel, too.
        """
        before = self.taps // 2 * in_features  # where the pixel's own features are in its window
        ends = [group.stop for group in self.groups_in]
        if mask_type == "A":  # group k sees the groups before k
            ends = [0, *ends[:-1]]
        first = slice(0, before + ends[0])
        return [first, *(slice(before + a, before + b) for a, b in itertools.pairwise(ends))]

    def bind(self) -> None:
        """See `Memory.bind`."""
        rows, terms = self.state.rows, self.state.terms
        features = rows.shape[-1]
        self.add_above = self.above.add(terms.flatten(0, 1))
        self.add_context = adding(self.context, terms)
        inputs = self.inputs = views(rows[:, -1, self.taps // 2 :], self.groups_in)
        self.outputs = views(terms, self.groups_out)
        line = rows[:, -1].flatten(1)  # (B, (W + K - 1) * in)
        parts = list(zip(self.products, self.groups_out, self.spans, strict=True))
        bind = self.bind_product

        def bound(column: int) -> list[Callable[..., None]]:
            return [
                bind(
                    product,
                    terms[:, column, outputs.start :],  # of this colour and all later ones
                    place,
                    line[:, column * features :][:, span],
                )
                for (product, outputs, span), place in zip(parts, inputs[column], strict=True)
            ]

        self.add = PerColumn(bound)

    @staticmethod
    def bind_product(
        product: Product, out: Tensor, place: Tensor, window: Tensor
    ) -> Callable[..., None]:
        """Bind the work of a substep: x goes to its place, then the window is multiplied."""
        return product.place_and_add(out, place, window)

    def begin_row(self, row: int) -> None:
        """Move the rows up by one; set the outputs of the new row to what is known of them."""
        rows, terms = self.state.rows, self.state.terms
        terms.copy_(self.bias)
        self.add_context(row)
        if rows.shape[1] > 1:
            rows[:, :-1] = rows[:, 1:].clone()
            self.add_above(windows(rows[:, :-1], self.taps))

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Add what comes with this substep to all outputs of the pixel that see it."""
        self.add[column][group](x)
        return self.outputs[column][group]


class InputConvStep(MaskedConvStep, InputStep):
    """A k x k convolution under mask A, on the network's input."""

    @staticmethod
    def bind_product(
        product: Product, out: Tensor, place: Tensor, window: Tensor
    ) -> Callable[..., None]:
        """Bind the work of a substep: the window is multiplied, as `see` has filled it."""
        return product.add_window(out, window)

    def see(self, x: Tensor, column: int, group: int) -> None:
        """See `InputStep.see`."""
        self.inputs[column][group].copy_(x)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Add what has been seen since the substep before to all outputs that see it."""
        self.add[column][group]()
        return self.outputs[column][group]


def step_of(
    conv: "MaskedConv2d", batch: int, width: int, context: Context | None
) -> MaskedConvStep:
    """Make the step for the mask of a layer."""
    kind = InputConvStep if conv.mask_type == "A" else MaskedConvStep
    return kind(conv, batch, width, context)
