"""The sum of all skips of a stack of blocks, as products of what is inside the blocks.

The inside of a block has h features and the stream 2h, so that this is half the products, and the
skips' outputs are not written and added one by one.

Axes: `H W` image, `B` batch, `h` hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Pair = tuple[Tensor, Tensor]
"""Weight and bias; the weight of a 1x1 may have two axes of length 1 at the end."""


def from_inside(
    x: Tensor, skips: Sequence[Pair], ups: Sequence[Pair], residual: bool
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Turn the skips into what each block adds of its inner features.

    The skips see x_i = x_0 + sum over j <= i of (up_j inner_j + bias_j). So their sum is

        S_0 x_0 + sum over j of S_j (up_j inner_j + bias_j)    S_j = sum over i >= j of skip_i

    and S_j up_j is known before any pixel is. Without residuals S_j is skip_j alone, and x_0 is
    not seen.

    Args:
        x: x_0, the input of the first block, (H, W, B, 2h).
        skips: (2h, 2h) and (2h,) of each block.
        ups: (2h, h) and (2h,) of each block.
        residual: whether x_i holds x_0.

    Returns:
        S_j up_j of each block, (2h, h), and the terms without inner features, (H, W, B, 2h).
    """
    weights = torch.stack([weight.flatten(1) for weight, _ in skips])
    # added one by one: the sum of a stack gives all of them one gradient in the same memory
    constant = sum((bias for _, bias in skips[1:]), skips[0][1])
    biases = torch.stack([bias for _, bias in ups])
    if residual:
        weights = weights.flip(0).cumsum(0).flip(0)
    constant = constant + (weights @ biases[..., None]).sum(0)[:, 0]
    start = F.linear(x, weights[0], constant) if residual else constant.expand(x.shape)
    return (weights @ torch.stack([weight.flatten(1) for weight, _ in ups])).unbind(), start


def added(total: Tensor, inner: Tensor, weight: Tensor) -> Tensor:
    """Return `total + weight @ inner`, one pass over the map: (..., 2h), (..., h), (2h, h)."""
    flat = torch.addmm(total.flatten(0, -2), inner.flatten(0, -2), weight.t())
    return flat.view(total.shape)
