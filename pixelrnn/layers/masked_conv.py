"""Masked convolution (section 3.4): a convolution that cannot see the future.

Axes: `H W` image, `B` batch, `F` features.
"""

import math
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.layers.apply import Context
from pixelrnn.layers.conditioning import NOTHING, Conditions, conditioning
from pixelrnn.layers.steps import masked_conv as steps
from pixelrnn.layers.steps.base import Step
from pixelrnn.layers.steps.pointwise import PointwiseStep
from pixelrnn.ops import masks
from pixelrnn.ops.tap_conv import tap_conv

MIN_FEATURES_FOR_PRODUCTS = 16
"""Features in from which one product per tap beats `conv2d`: measured on one thread, 2.3 times as
fast for 1 x 3 kernels and 1.1 times for 3 x 3 (on two threads 1.9 and 0.84), at half as many 1.1
and 0.57. The stem has one feature per colour."""


class MaskedWeight(nn.Module):
    """Weight and bias of a k x k convolution under mask A or B.

    The weight itself is never altered: the mask multiplies it on use, so optimiser state, weight
    averages and checkpoints see one plain parameter. Rows of the kernel below its centre are all
    masked and are not computed.

    Args:
        mask_type: "A" in the first layer of a network, "B" in all others.
        in_features: features in.
        out_features: features out, of one part.
        kernel_size: (kh, kw), centred at (kh // 2, kw // 2): an even kernel has its centre right
            and below of the middle, and so a 2 x 2 one sees three earlier neighbours.
        color_groups: number of colours that see each other in order (`masks`).
        parts: number of outputs that are computed together, each split into colours on its own
            (the gates of an LSTM, of one or two directions).
        conditions: what is added to the output of the convolution (`conditioning`).
    """

    def __init__(
        self,
        mask_type: masks.MaskType,
        in_features: int,
        out_features: int,
        kernel_size: tuple[int, int],
        color_groups: int,
        parts: int = 1,
        conditions: Conditions = NOTHING,
    ) -> None:
        super().__init__()
        self.mask_type = mask_type
        self.kernel_size = kernel_size
        self.color_groups = color_groups
        self.parts = parts
        mask = masks.causal_mask(
            mask_type, in_features, out_features, kernel_size, color_groups, parts
        )
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)
        self.weight = nn.Parameter(torch.empty(mask.shape))
        self.bias = nn.Parameter(torch.zeros(mask.shape[0]))
        self.reset_parameters()
        self.conditioning = conditioning(conditions, len(self.bias))

    def reset_parameters(self) -> None:
        """Draw uniform weights with variance 1 / (3 * inputs that an output really sees)."""
        seen = max(1.0, self.mask.flatten(1).sum(1).float().mean().item())
        nn.init.uniform_(self.weight, -1 / math.sqrt(seen), 1 / math.sqrt(seen))

    def masked_weight(self) -> Tensor:
        """Return the rows of the kernel that can see anything: (out, in, kh // 2 + 1, kw)."""
        rows = self.kernel_size[0] // 2 + 1
        return self.weight[:, :, :rows] * self.mask[:, :, :rows]

    def weight_up_to_centre(self) -> Tensor:
        """Return (out, in, rows, kw) of which the taps after the centre are not masked.

        It saves the product with the mask where that hides nothing else. There may be rows below
        the centre's.
        """
        return self.weight if self.sees_up_to_centre else self.masked_weight()

    @cached_property
    def sees_up_to_centre(self) -> bool:
        """Whether every output sees every input through all taps up to the centre."""
        kh, kw = self.kernel_size
        return bool(self.mask.flatten(2)[..., : kh // 2 * kw + kw // 2 + 1].all())


class MaskedConv2d(MaskedWeight):
    """A k x k convolution under mask A or B, same size in and out (arguments: `MaskedWeight`)."""

    takes_context = True

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """Apply the layer to whole images: (H, W, B, in) -> (H, W, B, out)."""
        y = self._convolved(x)
        return y if self.conditioning is None else y + self.conditioning(context)

    def _convolved(self, x: Tensor) -> Tensor:
        kh, kw = self.kernel_size
        weight = self.weight_up_to_centre()
        if kh == kw == 1:
            return F.linear(x, weight[:, :, 0, 0], self.bias)
        if x.shape[-1] >= MIN_FEATURES_FOR_PRODUCTS:
            taps = kh // 2 * kw + kw // 2 + 1  # that see anything; in raster order, centre last
            offsets = [(kh // 2 - tap // kw, kw // 2 - tap % kw) for tap in reversed(range(taps))]
            centre_first = weight.flatten(2)[..., :taps].flip(2).permute(2, 0, 1)
            return tap_conv(x, centre_first.contiguous(), self.bias, offsets)
        weight = self.masked_weight()
        right = kw - 1 - kw // 2
        # On CPUs 1.3 (32 features out) to 3 times (256) as fast as `conv2d`, if x has no gradient.
        if x.device.type == "cpu" and not x.requires_grad:
            padded = F.pad(x, (0, 0, 0, 0, kw // 2, right, kh // 2, 0))
            windows = padded.unfold(0, kh // 2 + 1, 1).unfold(1, kw, 1)  # (H, W, B, in, rows, kw)
            return F.linear(windows.flatten(3), weight.flatten(1), self.bias)
        padded = F.pad(x.permute(2, 3, 0, 1), (kw // 2, right, kh // 2, 0))  # (B, in, H+, W+)
        y = F.conv2d(padded, weight, self.bias).permute(2, 3, 0, 1)
        return y.contiguous()  # sums take over the layout of their first term: all later layers

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`).

        Of several parts, the outputs of a colour group stand together (`steps.base.group_order`).
        """
        plain = self.mask_type == "B" and self.parts == 1 and self.conditioning is None
        if plain and self.kernel_size == (1, 1):
            return PointwiseStep(self, batch)
        return steps.step_of(self, batch, width, context)
