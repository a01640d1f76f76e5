"""Masked convolution (section 3.4): a convolution that cannot see the future.

Axes: `H W` image, `B` batch, `F` features.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.stepping import Step, group_columns, group_order, views, windows
from pixelrnn.ops import masks
from pixelrnn.ops.few_rows import Add, product
from pixelrnn.ops.tap_conv import tap_conv

PRODUCTS_FROM = 16
"""Features in from which one product per tap beats `conv2d`: measured on one thread, 2.3 times as
fast for 1 x 3 kernels and 1.1 times for 3 x 3 (on two threads 1.9 and 0.84), at half as many 1.1
and 0.57. The stem has one feature per colour."""


class MaskedConv2d(nn.Module):
    """k x k convolution under mask A or B, same size in and out.

    The weight itself is never altered: the mask multiplies it on use, so optimiser state, weight
    averages and checkpoints see one plain parameter. Rows of the kernel below its centre are all
    masked and are not computed.

    Args:
        mask_type: "A" in the first layer of a network, "B" in all others.
        in_features: features in.
        out_features: features out, of one block.
        kernel_size: odd (kh, kw).
        groups: number of colours that see each other in order (`masks`).
        blocks: output parts computed together, each grouped on its own (gates, directions).
    """

    def __init__(
        self,
        mask_type: masks.MaskType,
        in_features: int,
        out_features: int,
        kernel_size: tuple[int, int],
        groups: int,
        blocks: int = 1,
    ) -> None:
        super().__init__()
        self.mask_type = mask_type
        self.kernel_size = kernel_size
        self.groups = groups
        self.blocks = blocks
        kh, kw = kernel_size
        self.taps = kh // 2 * kw + kw // 2 + 1  # that see anything; in raster order, centre last
        self.offsets = [
            (kh // 2 - tap // kw, kw // 2 - tap % kw) for tap in reversed(range(self.taps))
        ]
        mask = masks.causal_mask(mask_type, in_features, out_features, kernel_size, groups, blocks)
        self.register_buffer("mask", mask, persistent=False)
        self.weight = nn.Parameter(torch.empty(mask.shape))
        self.bias = nn.Parameter(torch.zeros(mask.shape[0]))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform with variance 1 / (3 * inputs that an output really sees)."""
        seen = max(1.0, self.mask.flatten(1).sum(1).float().mean().item())
        nn.init.uniform_(self.weight, -1 / math.sqrt(seen), 1 / math.sqrt(seen))

    def masked_weight(self) -> Tensor:
        """(out, in, kh // 2 + 1, kw): the rows of the kernel that can see anything."""
        rows = self.kernel_size[0] // 2 + 1
        return self.weight[:, :, :rows] * self.mask[:, :, :rows]

    def forward(self, x: Tensor) -> Tensor:
        """(H, W, B, in) -> (H, W, B, out)."""
        kh, kw = self.kernel_size
        weight = self.masked_weight()
        if kh == kw == 1:
            return F.linear(x, weight[:, :, 0, 0], self.bias)
        if x.shape[-1] >= PRODUCTS_FROM:
            taps = weight.flatten(2)[..., : self.taps].flip(2)  # the centre first
            return tap_conv(x, taps.permute(2, 0, 1).contiguous(), self.bias, self.offsets)
        padded = F.pad(x.permute(2, 3, 0, 1), (kw // 2, kw // 2, kh // 2, 0))  # (B, in, H+, W+)
        y = F.conv2d(padded, weight, self.bias).permute(2, 3, 0, 1)
        return y.contiguous()  # sums take over the layout of their first term: all later layers

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """The same layer, one position at a time (see `stepping`).

        Of several blocks, the outputs of a colour group stand together (`group_order`).
        """
        if self.kernel_size == (1, 1) and self.mask_type == "B" and self.blocks == 1:
            return PointwiseStep(self, batch)
        return MaskedConvStep(self, batch, width)


class PointwiseStep:
    """A 1 x 1 convolution under mask B, of one block: it remembers the pixel's outputs so far.

    A colour's input is added, once, to the outputs of its own and all later colours.
    """

    def __init__(self, conv: MaskedConv2d, batch: int) -> None:
        weight = conv.masked_weight()[:, :, 0, 0].t()  # (in, out)
        inputs = masks.group_slices(weight.shape[0], conv.groups)
        outputs = masks.group_slices(weight.shape[1], conv.groups)
        pixel = weight.new_empty(batch, weight.shape[1])
        self.outputs = [pixel[:, group] for group in outputs]
        self.bias = conv.bias.clone()
        self.products = [
            product(weight[i, o.start :]) for i, o in zip(inputs, outputs, strict=True)
        ]
        starts = [self.bias, *[None] * (conv.groups - 1)]
        self.add = [
            product.onto(pixel[:, o.start :], start=start)
            for product, o, start in zip(self.products, outputs, starts, strict=True)
        ]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        self.add[group](x)
        return self.outputs[group]


class MaskedConvStep:
    """A k x k convolution at one position.

    It remembers the rows of inputs that its kernel still reaches, and the outputs of this row as
    far as they are known. What the rows above add is one product when a row begins. What a pixel
    gets from the pixels to its left, and from its own first colour, lies side by side in memory:
    one product when the pixel begins. Later colours add to the outputs that see them.

    Args:
        conv: the layer.
        batch: B.
        width: W.
        blocks: number of blocks to compute, the first ones; None: all.
    """

    def __init__(
        self, conv: MaskedConv2d, batch: int, width: int, *, blocks: int | None = None
    ) -> None:
        self.shifted = conv.mask_type == "A"
        features = len(conv.bias) // conv.blocks
        blocks = blocks or conv.blocks
        self.order = group_order(features, conv.groups, blocks)
        self.bias = conv.bias[self.order]
        weight = conv.masked_weight().permute(2, 3, 1, 0)[..., self.order]  # (rows, kw, in, out)
        above, (taps, in_features, out_features) = len(weight) - 1, weight.shape[1:]
        self.taps = taps
        self.rows = weight.new_zeros(above + 1, batch, width + taps - 1, in_features)
        self.terms = weight.new_empty(batch, width, out_features)
        self.above = product(weight[:above].flatten(0, 2))
        self.add_above = self.above.onto(self.terms.flatten(0, 1))

        inputs = masks.group_slices(in_features, conv.groups)
        outputs = group_columns(features, conv.groups, blocks)
        self.inputs = views(self.rows[above, :, taps // 2 :], width, inputs)
        self.outputs = views(self.terms, width, outputs)
        self.add = self._additions(weight[above].flatten(0, 1), taps // 2, inputs, outputs)

    def _additions(
        self, weight: Tensor, reach: int, inputs: list[slice], outputs: list[slice]
    ) -> list[list[Add]]:
        """[column][group]; weight (kw * in, out) of the pixel's own row."""
        in_features = self.rows.shape[-1]
        line = self.rows[-1].flatten(1)  # (B, (W + kw - 1) * in)
        before = reach * in_features  # where a pixel's own features are, after those to the left
        ends = [0, *(group.stop for group in inputs)]  # of what a substep has seen of them
        if not self.shifted:
            ends = ends[1:]
        firsts = [group.start for group in outputs]  # outputs that see what a substep adds
        spans = [slice(0, before + ends[0])]
        spans += [slice(before + a, before + b) for a, b in itertools.pairwise(ends)]
        spans = spans[: len(firsts)]
        self.products = [
            product(weight[span, first:]) for span, first in zip(spans, firsts, strict=True)
        ]
        return [
            [
                self.products[group].onto(
                    self.terms[:, column, firsts[group] :],
                    window=line[:, column * in_features :][:, spans[group]],
                    place=None if self.shifted else self.inputs[column][group],
                )
                for group in range(len(firsts))
            ]
            for column in range(self.terms.shape[1])
        ]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        if self.shifted:
            self.inputs[column if group else column - 1][group - 1].copy_(x)
        if column == group == 0:
            self.begin_row()
        return self.take(x, column, group)

    def begin_row(self) -> None:
        """Move the rows up by one; set the outputs of the new row to what is known of them."""
        self.terms.copy_(self.bias)
        if len(self.rows) > 1:
            self.rows[:-1] = self.rows[1:].clone()
            self.add_above(windows(self.rows[:-1], self.taps))

    def take(self, x: Tensor, column: int, group: int) -> Tensor:
        """Add what comes with this substep to all outputs of the pixel that see it.

        Under mask A, x is of no account: `__call__` has put it where it belongs.
        """
        self.add[column][group](x)
        return self.outputs[column][group]
