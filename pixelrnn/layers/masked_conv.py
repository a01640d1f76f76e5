"""Masked convolution (section 3.4): a convolution that cannot see the future.

Axes: `H W` image, `B` batch, `F` features.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.stepping import Step, add_windows, group_columns, group_order, views
from pixelrnn.ops import masks
from pixelrnn.ops.tap_conv import tap_conv

PRODUCTS_FROM = 16
"""Features in from which one product per tap beats `conv2d`; the stem has one per colour."""


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

    def step(self, batch: int, width: int) -> Step:
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
        self.pixel = pixel
        self.bias = conv.bias
        self.outputs = [pixel[:, group] for group in outputs]
        self.seeing = [pixel[:, group.start :] for group in outputs]
        self.weights = [
            weight[i, o.start :].contiguous() for i, o in zip(inputs, outputs, strict=True)
        ]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        if group == 0:
            torch.addmm(self.bias, x, self.weights[0], out=self.pixel)
        else:
            self.seeing[group].addmm_(x, self.weights[group])
        return self.outputs[group]


class MaskedConvStep:
    """A k x k convolution at one position.

    It remembers the rows of inputs that its kernel still reaches, and the outputs of this row as
    far as they are known. What the rows above add is one product when a row begins. What a colour
    of a pixel adds to its row, once, is one product too: outputs of the same pixel under the mask,
    and of the pixels to the right, lie side by side in memory.

    Args:
        conv: the layer.
        batch: B.
        width: W.
        blocks: number of blocks to compute, the first ones; None: all.
        keep_row: remember the inputs of this row (in `rows[-1]`) even if no row below reads them.
    """

    def __init__(
        self,
        conv: MaskedConv2d,
        batch: int,
        width: int,
        *,
        blocks: int | None = None,
        keep_row: bool = False,
    ) -> None:
        self.shifted = conv.mask_type == "A"
        self.keep_row = keep_row or conv.kernel_size[0] > 1
        features = len(conv.bias) // conv.blocks
        blocks = blocks or conv.blocks
        self.order = group_order(features, conv.groups, blocks)
        self.bias = conv.bias[self.order]
        weight = conv.masked_weight().permute(2, 3, 1, 0)[..., self.order]  # (rows, kw, in, out)
        above, (taps, in_features, out_features) = len(weight) - 1, weight.shape[1:]
        reach = taps // 2
        self.above = weight[:above].flatten(0, 2).contiguous()  # (above * kw * in, out)
        own = weight[above, : reach + 1].flip(0)  # centre first, then what lies to the right
        own = own.transpose(0, 1).flatten(1)  # (in, (1 + reach) * out)

        self.rows = weight.new_zeros(above + 1, batch, width + 2 * reach, in_features)
        self.terms = weight.new_empty(batch, width + reach, out_features)
        inputs = masks.group_slices(in_features, conv.groups)
        outputs = group_columns(features, conv.groups, blocks)
        starts = [group.stop if self.shifted else group.start for group in outputs]
        self.inputs = views(self.rows[above, :, reach:], width, inputs)
        self.outputs = views(self.terms, width, outputs)
        self.weights = [
            own[i, start:].contiguous() for i, start in zip(inputs, starts, strict=True)
        ]
        line = self.terms.flatten(1)  # (B, (W + reach) * out)
        ends = [(column + 1 + reach) * out_features for column in range(width)]
        self.seeing = [
            [line[:, column * out_features + start : end] for start in starts]
            for column, end in enumerate(ends)
        ]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        if self.shifted:
            self.take(x, column if group else column - 1, group - 1)
        if column == group == 0:
            self.begin_row()
        if not self.shifted:
            self.take(x, column, group)
        return self.outputs[column][group]

    def begin_row(self) -> None:
        """Move the rows up by one; set the outputs of the new row to what is known of them."""
        self.terms.copy_(self.bias)
        if len(self.above):
            self.rows[:-1] = self.rows[1:].clone()
            add_windows(self.terms, self.rows[:-1], self.above)

    def take(self, x: Tensor, column: int, group: int) -> None:
        """Add an input to all outputs of its row that see it; keep it for the rows below."""
        if self.keep_row:
            self.inputs[column][group].copy_(x)
        self.seeing[column][group].addmm_(x, self.weights[group])
