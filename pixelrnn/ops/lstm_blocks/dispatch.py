"""Which code computes a stack of recurrent blocks.

As operations of a library a block is a dozen passes over maps that do not fit into a core's cache,
and products of 16 or 32 features, which a library computes at a fraction of its rate.

Axes: `H W` image, `B` batch, `h` hidden.
"""

from collections.abc import Sequence

from torch import Tensor

from pixelrnn.ops import choices, one_call, skips
from pixelrnn.ops.conv_lstm.dispatch import Kernel, Name
from pixelrnn.ops.lstm_blocks import native_blocks, reference
from pixelrnn.ops.lstm_blocks.reference import BlockWeights

MAX_FEATURES = 64
"""Features up to which `auto` takes the C++ code.

Steps of three blocks are 1.2 (Row LSTM) and 1.3 times (Diagonal BiLSTM) as fast as block by block
with h = 64, 1.12 and 1.15 times with h = 96 (one thread of AMD EPYC, AVX-512). Beyond 64 the sums
of gradients of 16 groups would take hundreds of MB in a deep network.
"""


def lstm_blocks(
    x: Tensor,
    blocks: Sequence[BlockWeights],
    residual: bool = True,
    recompute: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Apply blocks in order.

    Args:
        x: (H, W, B, 2h), any float dtype.
        blocks: at least one, all of one kind; all have a skip, or none has.
        residual: False drops the addition of x.
        recompute: keep only each block's input for the backward pass, and compute the block again
            there; without effect where the reference is taken.

    Returns:
        The output of the last block, and the sum of the skips (None without skips): (H, W, B, 2h).
    """
    if objection(x, blocks[0].state_to_state) is not None:
        return reference.stack(x, blocks, residual)
    asides: Sequence[Tensor] = []
    total = None
    if blocks[0].skip is not None:
        pairs = [block.skip for block in blocks if block.skip is not None]
        asides, total = skips.from_inside(x, pairs, [block.up for block in blocks], residual)
    return one_call.in_one_call(native_blocks.apply, x, total, residual, blocks, asides, recompute)


def served(x: Tensor, state_to_state: Tensor, kernel: Kernel | Name) -> bool:
    """Tell whether the C++ code takes the input with weights like this one; `choices` notes it.

    It takes float32 on a CPU and few features, if it could be built, and `kernel` names no other.
    """
    chosen = Kernel(kernel) if isinstance(kernel, str) else kernel
    why_not = _other_kernel(chosen) or objection(x, state_to_state)
    choices.note("lstm_blocks kernel: " + (f"one by one ({why_not})" if why_not else "native"))
    return why_not is None


def _other_kernel(kernel: Kernel) -> str | None:
    """Return what asks for another kernel, or None."""
    if kernel.name != "auto":
        return f"kernel.name={kernel.name}"
    if kernel.compile not in ("auto", "native"):
        return f"kernel.compile={kernel.compile}"
    return None


def objection(x: Tensor, state_to_state: Tensor) -> str | None:
    """Return why the C++ code does not take the input, or None if it does."""
    if state_to_state.shape[2] > MAX_FEATURES:
        return f"more than {MAX_FEATURES} features"
    without = "recurrent blocks are computed one by one, and slower"
    return one_call.objection(x, state_to_state, native_blocks.SOURCE, without)
