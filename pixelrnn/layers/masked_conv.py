"""Masked convolution (section 3.4): a convolution that cannot see the future.

Axes: `H W` image, `B` batch, `F` features.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelrnn.ops import masks
from pixelrnn.ops.row_conv import row_conv


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
        self.kernel_size = kernel_size
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
        if kh == 1:
            taps = self.masked_weight()[:, :, 0, : kw // 2 + 1].flip(2)  # k: k pixels to the left
            return row_conv(x, taps.permute(2, 0, 1).contiguous(), self.bias)
        padded = F.pad(x.permute(2, 3, 0, 1), (kw // 2, kw // 2, kh // 2, 0))  # (B, in, H+, W+)
        return F.conv2d(padded, self.masked_weight(), self.bias).permute(2, 3, 0, 1)
