"""What the paper's three single-scale networks have in common (table 1).

    stem (k x k, mask A) -> blocks, each with an optional skip -> head

Axes: `h` hidden; the stream between blocks is 2h wide.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pixelrnn.layers.apply import Run
from pixelrnn.layers.head import Head, default_width
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.stem import Stem
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.models.causal import CausalModel


def color_groups(colors: int, color_conditioning: bool) -> int:
    """Number of colours that see each other in order; 1 if they do not see each other."""
    return colors if color_conditioning else 1


class StackModel(CausalModel):
    """Stem, blocks, skips, head.

    Args:
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.
        likelihood: see `CausalModel`.
        hidden: h.
        blocks: modules with `compose(x, run)` from 2h to 2h features.
        skip: a learnt 1x1 (mask B) from each block's output to the head's input, summed to it.
        first_kernel_size: of the stem.
        color_conditioning: False: channels do not see each other inside a pixel.
        head_width: None: the paper's (`head.default_width`).
        row_end: see `Stem`.
        checkpoint_layers: keep only each block's input for the backward, and compute the block
            again there: a third more arithmetic, and depth costs little memory.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        likelihood: Likelihood | None,
        *,
        hidden: int,
        blocks: Iterable[nn.Module],
        skip: bool,
        first_kernel_size: int,
        color_conditioning: bool,
        head_width: int | None,
        row_end: bool = False,
        checkpoint_layers: bool = False,
    ) -> None:
        colors = image_shape[0]
        groups = color_groups(colors, color_conditioning)
        super().__init__(image_shape, levels, likelihood, color_groups=groups)
        self.checkpoint_layers = checkpoint_layers
        stream = 2 * hidden
        self.stem = Stem(colors, stream, first_kernel_size, groups, row_end)
        self.blocks = nn.ModuleList(blocks)
        self.skips = nn.ModuleList(
            MaskedConv2d("B", stream, stream, (1, 1), groups) for _ in self.blocks if skip
        )
        self.head = Head(
            stream,
            head_width or default_width(levels),
            self.likelihood.parameters_per_pixel(colors),
            groups,
        )

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """See `CausalModel.compose`."""
        x = run(self.stem, pixels)
        skipped = []
        for index, block in enumerate(self.blocks):
            if self.checkpoint_layers and torch.is_grad_enabled():
                x = checkpoint(block.compose, x, run, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block.compose(x, run)
            if self.skips:
                skipped.append(run(self.skips[index], x))
        return self.head.compose(sum(skipped, x), run)
