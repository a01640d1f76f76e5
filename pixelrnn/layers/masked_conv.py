"""Masked convolution (section 3.4): a convolution that cannot see the future.

Axes: `H W` image, `B` batch, `F` features.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.stepping import Step, add_windows, group_columns, group_order, views
from pixelrnn.ops import masks


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
        if kh == kw == 1:
            return F.linear(x, self.masked_weight()[:, :, 0, 0], self.bias)
        padded = F.pad(x.permute(2, 3, 0, 1), (kw // 2, kw // 2, kh // 2, 0))  # (B, in, H+, W+)
        return F.conv2d(padded, self.masked_weight(), self.bias).permute(2, 3, 0, 1)

    def step(self, batch: int, width: int) -> Step:
        """The same layer, one position at a time (see `stepping`)."""
        if self.kernel_size == (1, 1) and self.mask_type == "B":
            return PointwiseStep(self, batch)
        return MaskedConvStep(self, batch, width)


class PointwiseStep:
    """A 1 x 1 convolution under mask B at one position: it remembers the pixel, and no more."""

    def __init__(self, conv: MaskedConv2d, batch: int) -> None:
        weight = conv.masked_weight()[:, :, 0, 0].t()  # (in, out)
        outputs = masks.group_slices(weight.shape[1], conv.groups)
        inputs = masks.group_slices(weight.shape[0], conv.groups)
        pixel = weight.new_zeros(batch, weight.shape[0])
        self.inputs = [pixel[:, group] for group in inputs]
        self.seen = [pixel[:, : group.stop] for group in inputs]
        self.weights = [
            weight[: i.stop, o].contiguous() for i, o in zip(inputs, outputs, strict=True)
        ]
        self.biases = [conv.bias[group] for group in outputs]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        self.inputs[group].copy_(x)
        return torch.addmm(self.biases[group], self.seen[group], self.weights[group])


class MaskedConvStep:
    """A k x k convolution at one position: it remembers the rows that its kernel still reaches.

    When a row begins, what the rows above add to it is one product. What a pixel sees of its own
    row lies contiguously in memory, `(taps to the left, centre up to its own colour)`, so that a
    substep is one product too. All buffers are cut into views once.

    Under mask A the input of a substep is that of the substep before: no output sees its own.

    Args:
        conv: the layer.
        batch: B.
        width: W.
        blocks: how many of the layer's output blocks to compute; None: all.
    """

    def __init__(
        self, conv: MaskedConv2d, batch: int, width: int, blocks: int | None = None
    ) -> None:
        blocks = blocks or conv.blocks
        features = conv.weight.shape[0] // conv.blocks
        weight = conv.masked_weight()[: blocks * features].permute(2, 3, 1, 0)  # (rows, kw, in, out)
        above, taps, in_features, _ = weight.shape[0] - 1, *weight.shape[1:]
        pad = taps // 2
        self.shifted = conv.mask_type == "A"
        self.order = group_order(features, conv.groups, blocks)
        weight = weight[..., self.order].contiguous()
        self.bias = conv.bias[self.order]
        self.above = weight[:above].flatten(0, 2)  # (above * kw * in, out)

        self.rows = weight.new_zeros(above + 1, batch, width + 2 * pad, in_features)
        self.terms = weight.new_empty(batch, width, blocks * features)
        inputs = masks.group_slices(in_features, conv.groups)
        outputs = group_columns(features, conv.groups, blocks)
        ends = [
            pad * in_features + (group.start if self.shifted else group.stop) for group in inputs
        ]
        own = weight[above, : pad + 1].flatten(0, 1)  # ((left + centre) * in, out)
        self.weights = [own[:end, o].contiguous() for end, o in zip(ends, outputs, strict=True)]
        self.inputs = views(self.rows[above, :, pad:], width, inputs)
        self.outputs = views(self.terms, width, outputs)
        line = self.rows[above].flatten(1)  # (B, (W + 2 pad) * in)
        self.seen = [
            [line[:, column * in_features :][:, :end] for end in ends] for column in range(width)
        ]

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """See `Step`."""
        if self.shifted:  # the end of the row above comes first
            self.take(x, column if group else column - 1, group - 1)
            if column == group == 0:
                self.begin_row()
        else:
            if column == group == 0:
                self.begin_row()
            self.take(x, column, group)
        return self.product(column, group)

    def begin_row(self) -> None:
        """Move the rows up by one; set the terms of the new row: bias and the rows above."""
        self.terms.copy_(self.bias)
        if len(self.above):
            self.rows[:-1] = self.rows[1:].clone()
            add_windows(self.terms, self.rows[:-1], self.above)

    def take(self, x: Tensor, column: int, group: int) -> None:
        """Remember an input of the current row."""
        self.inputs[column][group].copy_(x)

    def product(self, column: int, group: int) -> Tensor:
        """Add what a pixel sees of its own row to its terms: (B, out of the group)."""
        return self.outputs[column][group].addmm_(self.seen[column][group], self.weights[group])
