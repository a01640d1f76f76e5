"""Which inputs a masked convolution may see (section 3.4 and figure 2, right).

Features are split into contiguous colour groups, one per colour; when they do not divide, the first
groups take the remainder. A 3 x 3 kernel sees

    x x x        x: every group sees every group
    x o .        o: mask A: groups strictly before its own; mask B: its own too
    . . .        .: nothing (the future)

With one group (colours that do not see each other inside a pixel) mask A hides the whole centre and
mask B shows it: features then hold no sub-pixel of the current pixel at all.
"""

from typing import Literal

import torch
from torch import Tensor

MaskType = Literal["A", "B"]


def group_sizes(features: int, color_groups: int) -> list[int]:
    """Return the number of features in each colour group; the first take the remainder."""
    rest = features % color_groups
    return [features // color_groups + (group < rest) for group in range(color_groups)]


def group_slices(features: int, color_groups: int) -> list[slice]:
    """Return the contiguous range of features of each colour group."""
    slices, start = [], 0
    for size in group_sizes(features, color_groups):
        slices.append(slice(start, start + size))
        start += size
    return slices


def group_index(features: int, color_groups: int, parts: int = 1) -> Tensor:
    """Return the colour group of every feature: int64, (parts * features,).

    A layer may compute several parts together, each grouped on its own: the four gates of an LSTM
    are split gate first, colour second.
    """
    sizes = torch.tensor(group_sizes(features, color_groups))
    return torch.arange(color_groups).repeat_interleave(sizes).repeat(parts)


def centre_mask(mask_type: MaskType, out_group: Tensor, in_group: Tensor) -> Tensor:
    """Return what each output sees at its own pixel: bool, (out, in)."""
    if mask_type == "A":
        return out_group[:, None] > in_group[None, :]
    return out_group[:, None] >= in_group[None, :]


def causal_mask(
    mask_type: MaskType,
    in_features: int,
    out_features: int,
    kernel_size: tuple[int, int],
    color_groups: int,
    parts: int = 1,
) -> Tensor:
    """Return the mask of a convolution kernel: bool, (parts * out_features, in_features, kh, kw).

    Args:
        mask_type: "A" in the first layer, "B" in all others.
        in_features: input features, split into colour groups.
        out_features: output features of one part, split into colour groups.
        kernel_size: (kh, kw); its centre is (kh // 2, kw // 2).
        color_groups: number of colours that see each other in order.
        parts: number of outputs computed together, each grouped on its own (`group_index`).
    """
    kh, kw = kernel_size
    out_group = group_index(out_features, color_groups, parts)
    in_group = group_index(in_features, color_groups)
    mask = torch.zeros(len(out_group), len(in_group), kh, kw, dtype=torch.bool)
    mask[:, :, : kh // 2] = True
    mask[:, :, kh // 2, : kw // 2] = True
    mask[:, :, kh // 2, kw // 2] = centre_mask(mask_type, out_group, in_group)
    return mask
