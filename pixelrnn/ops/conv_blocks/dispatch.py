"""Which code computes a stack of blocks.

As operations of a library a block is a dozen passes over maps that do not fit into a core's cache,
and products of 16 or 32 features, which a library computes at a fraction of its rate.

Axes: `H W` image, `B` batch, `h` hidden.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from pixelrnn.ops import choices, one_call, skips
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
            there; without effect where the reference is taken.

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
    x, total = one_call.in_one_call(
        native_blocks.apply, x, total, residual, blocks, asides, recompute
    )
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
    without = "PixelCNN's blocks are torch's operations, and slower"
    return one_call.objection(x, weight, native_blocks.SOURCE, without)
