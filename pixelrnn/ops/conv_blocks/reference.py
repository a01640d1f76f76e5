"""A stack of PixelCNN's residual blocks and their skips, line by line (section 3.5, figure 5).

    inner     = ReLU(down ReLU(x))           1x1, 2h to h
    convolved = ReLU(conv inner)             k x k, h to h: taps of earlier pixels and the centre
    x         = x + up convolved             1x1, h to 2h
    total     = total + skip x               1x1, 2h to 2h

Axes: `H W` image, `B` batch, `h` hidden, `k` kernel size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from pixelrnn.ops import tap_conv
from pixelrnn.ops.skips import Pair


class BlockWeights(NamedTuple):
    """Weights and biases of one block; those of a 1x1 may have two axes of length 1 at the end.

    Attributes:
        down: (h, 2h) and (h,).
        conv: (h, h, rows, k) and (h,); k is odd, and there are at least the rows up to the
            centre's. Taps after the centre are not used.
        up: (2h, h) and (2h,).
        skip: (2h, 2h) and (2h,); None: no skip.
    """

    down: Pair
    conv: Pair
    up: Pair
    skip: Pair | None = None


def stack(
    x: Tensor, blocks: Sequence[BlockWeights], residual: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Compute what `conv_blocks` does, line by line; it can be differentiated again and again."""
    total = None
    for block in blocks:
        x, _ = one_block(x, block, residual)
        if block.skip is not None:
            skipped = _pointwise(x, block.skip)
            total = skipped if total is None else total + skipped
    return x, total


def one_block(x: Tensor, block: BlockWeights, residual: bool) -> tuple[Tensor, Tensor]:
    """Return the output of a block and its convolved features."""
    inner = _pointwise(x.relu(), block.down).relu()
    kernel, bias = block.conv
    offsets = earlier_taps(kernel.shape[-1])
    by_tap = kernel.flatten(2)[..., : len(offsets)].permute(2, 0, 1)
    convolved = tap_conv.reference(inner, by_tap, bias, offsets).relu()
    y = _pointwise(convolved, block.up)
    return (x + y if residual else y), convolved


def earlier_taps(size: int) -> list[tap_conv.Offset]:
    """Return where the taps of a k x k kernel read, in raster order up to the centre."""
    centre = size // 2
    return [(centre - t // size, centre - t % size) for t in range(centre * size + centre + 1)]


def _pointwise(x: Tensor, pair: Pair) -> Tensor:
    weight, bias = pair
    return F.linear(x, weight.flatten(1), bias)
