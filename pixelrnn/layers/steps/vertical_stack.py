"""The vertical stack of the Gated PixelCNN at one position: a whole row when the row begins.

Axes: `B` batch, `W` width of the image, `K` taps along the row, `C` colours, `p` features of a
layer, `L` layers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.layers.steps.base import (
    InputStep,
    State,
    group_columns,
    group_order,
    views,
    windows,
)
from pixelrnn.layers.steps.conditioning import adding, context_term
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.vertical_stack import VerticalLayer, VerticalStack


@dataclass
class VerticalState(State):
    """What is remembered of the rows above.

    Attributes:
        pixels: (B, k // 2 + 2, W + K - 1, C), the image rows that the first kernel reaches, padded
            with zeros left and right; the last row is the one at hand.
        rows: (B, L - 1, k // 2 + 1, W + K - 1, p), the inputs of the other layers, padded alike; at
            the row at hand they are known.
        links: (B, W, sum(parts) * p), the outputs of this row; those of a colour group stand
            together.
    """

    pixels: Tensor
    rows: Tensor
    links: Tensor


class VerticalStep(InputStep):
    """Two products a layer for a whole row; at a position nothing is left to compute.

    Args:
        stack: the layer.
        batch: B.
        width: W.
        context: what the images are conditioned on.
    """

    repeats = True

    def __init__(
        self, stack: "VerticalStack", batch: int, width: int, context: Context | None = None
    ) -> None:
        layers = cast("list[VerticalLayer]", list(stack.layers))
        self.taps = [layer.conv.kernel_size for layer in layers]
        self.convs = [product(_matrix(layer.conv.weight)) for layer in layers]
        self.conv_biases = [layer.conv.bias.clone() for layer in layers]  # (2 p,)
        self.links = [product(layer.link.weight.t()) for layer in layers]
        self.link_biases = [layer.link.bias.clone() for layer in layers]  # (2 p,)
        like = layers[0].conv.weight
        colors, features = like.shape[1], len(like) // stack.parts[0]
        self.gates = [layer.gate for layer in layers]
        self.parts = [features * parts for parts in stack.parts]
        parts = sum(stack.parts)
        self.order = group_order(features, stack.color_groups, parts).to(like.device)
        self.groups_in = masks.group_slices(colors, stack.color_groups)
        self.groups_out = group_columns(features, stack.color_groups, parts)
        self.contexts = [
            context_term(layer.conditioning, context, batch, slice(None)) for layer in layers
        ]
        first, other = self.taps[0], self.taps[-1]
        self.state = VerticalState(
            pixels=like.new_zeros(batch, first // 2 + 2, width + first - 1, colors),
            rows=like.new_zeros(
                batch, len(layers) - 1, other // 2 + 1, width + other - 1, features
            ),
            links=like.new_zeros(batch, width, parts * features),
        )
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        pixels, links = self.state.pixels, self.state.links
        batch, width, _ = links.shape
        self.inputs = views(pixels[:, -1, self.taps[0] // 2 :], self.groups_in)
        self.outputs = views(links, self.groups_out)
        self.by_layer = torch.empty_like(links)  # the links, before those of a group are gathered
        shares = self.by_layer.flatten(0, 1).split(self.parts, dim=-1)  # (B * W, 2 p) each
        self.features = [
            torch.empty_like(share, memory_format=torch.contiguous_format) for share in shares
        ]
        self.convolve = [
            conv.add(features, bias)
            for conv, features, bias in zip(
                self.convs, self.features, self.conv_biases, strict=True
            )
        ]
        self.add_context = [
            adding(context, features.unflatten(0, (batch, width)))
            for context, features in zip(self.contexts, self.features, strict=True)
        ]
        self.link = [
            link.add(share, bias)
            for link, share, bias in zip(self.links, shares, self.link_biases, strict=True)
        ]

    def begin_row(self, row: int) -> None:
        """Compute the whole row, layer by layer."""
        pixels, (batch, width, _) = self.state.pixels, self.state.links.shape
        pixels[:, :-1] = pixels[:, 1:].clone()
        seen = pixels[:, :-1]
        for index, taps in enumerate(self.taps):
            self.convolve[index](windows(seen, taps))
            self.add_context[index](row)
            self.link[index](self.features[index])
            if index + 1 < len(self.taps):
                seen = self.state.rows[:, index]
                seen[:, :-1] = seen[:, 1:].clone()
                middle = seen[:, -1, self.taps[-1] // 2 :][:, :width]
                put_out = self.gates[index](self.features[index])
                middle.copy_(put_out.unflatten(0, (batch, width)))
        torch.index_select(self.by_layer, -1, self.order, out=self.state.links)

    def see(self, x: Tensor, column: int, group: int) -> None:
        """See `InputStep.see`."""
        self.inputs[column][group].copy_(x)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step.__call__`."""
        return self.outputs[column][group]


def _matrix(weight: Tensor) -> Tensor:
    """Lay a kernel (out, in, rows, K) out as what `windows` is multiplied with."""
    return weight.permute(2, 3, 1, 0).flatten(0, 2)  # (rows * K * in, out)
