"""Which code computes a stack of blocks.

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
from pixelrnn.ops import choices, skips
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
    asides: Sequence[Tensor] = []
    total = None
    if blocks[0].skip is not None:
        pairs = [block.skip for block in blocks if block.skip is not None]
        asides, total = skips.from_inside(x, pairs, [block.up for block in blocks], residual)
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
