"""Which code computes a stack of blocks, and the products of weights that halve the skips.

As operations of a library a block is a dozen passes over maps that do not fit into a core's cache,
and products of 16 or 32 features, which a library computes at a fraction of its rate.

Axes: `H W` image, `B` batch, `h` hidden.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from pixelrnn.native import compiler
from pixelrnn.ops import choices
from pixelrnn.ops.conv_blocks import native_blocks, reference
from pixelrnn.ops.conv_blocks.reference import BlockWeights


def conv_blocks(
    x: Tensor,
    blocks: Sequence[BlockWeights],
    residual: bool = True,
    recompute: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Apply blocks in order.

    Args:
        x: (H, W, B, 2h), any float dtype.
        blocks: at least one; all have a skip, or none has.
        residual: False drops the addition of x.
        recompute: keep only each block's input for the backward pass, and compute the block again
            there.

    Returns:
        The output of the last block, and the sum of the skips (None without skips): (H, W, B, 2h).
    """
    if not served(x, blocks[0].down[0]):
        return reference.stack(x, blocks, residual)
    asides, total = _asides(x, blocks, residual)
    features = x.shape[-1]
    spare = -features % native_blocks.SLOTS
    if spare:
        x = F.pad(x, (0, spare))
        total = None if total is None else F.pad(total, (0, spare))
    for part in [slice(n, n + 1) for n in range(len(blocks))] if recompute else [slice(None)]:
        arguments = x, total, residual, blocks[part], asides[part]
        if recompute and torch.is_grad_enabled():
            x, total = checkpoint(
                native_blocks.apply, *arguments, use_reentrant=False, preserve_rng_state=False
            )
        else:
            x, total = native_blocks.apply(*arguments)
    if spare:
        x = x[..., :features].contiguous()
        total = None if total is None else total[..., :features].contiguous()
    return x, total


def _asides(
    x: Tensor, blocks: Sequence[BlockWeights], residual: bool
) -> tuple[Sequence[Tensor], Tensor | None]:
    """Turn the skips into what each block adds of its convolved features: half the products.

    The skips see x_i = x_0 + sum over j <= i of (up_j convolved_j + bias_j). So their sum is

        S_0 x_0 + sum over j of S_j (up_j convolved_j + bias_j)    S_j = sum over i >= j of skip_i

    and S_j up_j is known before any pixel is. Without residuals S_j is skip_j alone, and x_0 is
    not seen.

    Returns:
        S_j up_j of each block, (2h, h), and the terms without convolved features, (H, W, B, 2h).
    """
    if blocks[0].skip is None:
        return [], None
    pairs = [block.skip for block in blocks if block.skip is not None]
    skips = torch.stack([weight.flatten(1) for weight, _ in pairs])
    # added one by one: the sum of a stack gives all of them one gradient in the same memory
    constant = sum((bias for _, bias in pairs[1:]), pairs[0][1])
    ups = torch.stack([block.up[0].flatten(1) for block in blocks])
    biases = torch.stack([block.up[1] for block in blocks])
    if residual:
        skips = skips.flip(0).cumsum(0).flip(0)
    constant = constant + (skips @ biases[..., None]).sum(0)[:, 0]
    total = F.linear(x, skips[0], constant) if residual else constant.expand(x.shape)
    return (skips @ ups).unbind(), total


def served(x: Tensor, weight: Tensor) -> bool:
    """Tell whether the C++ code takes the input with weights like this one; `choices` notes it.

    It takes float32 on a CPU, if it could be built.
    """
    why_not = _objection(x, weight)
    choices.note("conv_blocks kernel: " + (f"torch ({why_not})" if why_not else "native"))
    return why_not is None


def _objection(x: Tensor, weight: Tensor) -> str | None:
    """Return why the C++ code does not take the input, or None if it does."""
    if x.device.type != "cpu":
        return f"it runs on cpu only, not on {x.device.type}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    if not x.dtype == weight.dtype == torch.float32:
        return f"no version for {x.dtype}"
    if x.numel() == 0:
        return "no pixels"
    if not compiler.available(
        native_blocks.SOURCE, "PixelCNN's blocks are torch's operations, and slower"
    ):
        return "it could not be built"
    return None
