"""What the stacks of blocks that are one C++ call have in common: skips, recomputing, refusals."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pixelrnn.native import compiler

Apply = Callable[..., tuple[Tensor, Tensor | None]]


def in_one_call(
    apply: Apply,
    x: Tensor,
    total: Tensor | None,
    residual: bool,
    blocks: Sequence[Any],
    asides: Sequence[Tensor],
    recompute: bool,
) -> tuple[Tensor, Tensor | None]:
    """Apply all blocks in one call, or each in a call of its own that is computed again.

    Args:
        apply: of x, total, residual, blocks and their asides; returns the next x and total.
        x: (H, W, B, 2h), float32.
        total: alike, what the sum of skips begins with; None without skips.
        residual: False drops the addition of x.
        blocks: the weights of each.
        asides: (2h, h) of each block, or none.
        recompute: keep only each block's input for the backward pass.

    Returns:
        The output of the last block, and the sum of the skips.
    """
    if not (recompute and torch.is_grad_enabled()):
        return apply(x, total, residual, blocks, asides)
    for n in range(len(blocks)):
        part = slice(n, n + 1)
        arguments = x, total, residual, blocks[part], asides[part]
        x, total = checkpoint(apply, *arguments, use_reentrant=False, preserve_rng_state=False)
    return x, total


def objection(x: Tensor, weight: Tensor, source: Path, without: str) -> str | None:
    """Return why C++ code for float32 on a CPU does not take the input, or None if it does.

    Args:
        x: the input.
        weight: one of the weights.
        source: the C++ file.
        without: what the user is told, once, if it cannot be built.
    """
    if x.device.type != "cpu":
        return f"it runs on cpu only, not on {x.device.type}"
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    if not x.dtype == weight.dtype == torch.float32:
        return f"no version for {x.dtype}"
    if x.numel() == 0:
        return "no pixels"
    if not compiler.available(source, without):
        return "it could not be built"
    return None
