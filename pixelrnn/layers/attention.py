"""Attention over all earlier pixels (PixelSNAIL, Chen et al. 2018, section 2 and its code).

Axes: `H W` image, `B` batch, `C` colours, `F` features, `G` colour groups, `h` heads of a group.
"""

import torch
from torch import Tensor, nn

from pixelrnn.layers.apply import Context, Run, Whole
from pixelrnn.layers.dropout import Dropout
from pixelrnn.layers.elu import elu
from pixelrnn.layers.gate import linear_gate
from pixelrnn.layers.gated_residual import GATED_SCALE
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.placed_conv import PlacedConv
from pixelrnn.layers.places import places
from pixelrnn.layers.steps.attention import AttentionStep
from pixelrnn.layers.steps.base import Step
from pixelrnn.ops.attention import over_earlier


class CausalAttention(nn.Module):
    """Each pixel gathers values from all pixels before it in raster order, and not from itself.

    A pixel's query comes from its features and its place, its key and its value from these and the
    pixel itself, in all its colours. So a query is masked by colour and a key is not: it is read by
    later pixels only. Each colour group has heads of its own, whose values are its features.

    Args:
        colors: C; of embedded symbols, the features of all of them (`CausalModel.inputs`).
        features: F, in.
        key_width: features of a key, and of a query, of one head.
        value_width: features of the values of all heads together; rounded up to a multiple of the
            number of heads of all groups.
        heads: h, of each colour group.
        color_groups: G, number of colours that see each other in order.
        size: (H, W) of the images.
        dropout: share of the inner features of both gated blocks that is dropped in training.
    """

    def __init__(
        self,
        colors: int,
        features: int,
        key_width: int,
        value_width: int,
        heads: int,
        color_groups: int,
        size: tuple[int, int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads = color_groups * heads
        self.key_width = key_width
        self.value_width = -(-value_width // self.heads)  # of one head
        self.color_groups = color_groups
        self.size = size
        groups = color_groups
        self.query_in = PlacedConv(features, features, groups, size)
        self.query_gate = MaskedConv2d("B", features, features, (1, 1), groups, parts=2)
        self.query_out = PlacedConv(features, self.heads * key_width, groups, size)
        raw = colors + 2 + features
        self.content_in = nn.Linear(raw, features)
        self.content_gate = nn.Linear(features, 2 * raw)
        self.content_out = nn.Linear(raw, self.heads * (key_width + self.value_width))
        self.query_dropout, self.content_dropout = Dropout(dropout), Dropout(dropout)
        with torch.no_grad():
            for gate in (self.query_gate, self.content_gate):
                gate.weight.mul_(GATED_SCALE)

    @property
    def out_features(self) -> int:
        """Number of features put out."""
        return self.heads * self.value_width

    def query(self, x: Tensor, run: Run) -> Tensor:
        """Compute queries by a gated residual block: (..., F) -> (..., heads * key_width)."""
        y = run(self.query_gate, self.query_dropout(elu(run(self.query_in, elu(x)))))
        return run(self.query_out, x + linear_gate(y))

    def forward(self, x: Tensor, pixels: Tensor) -> Tensor:
        """Apply the layer to whole images.

        Args:
            x: (H, W, B, F).
            pixels: (H, W, B, C), scaled.

        Returns:
            (H, W, B, out_features).
        """
        height, width, batch, _ = x.shape
        here = places(range(height), width, self.size, pixels)[:, :, None]
        raw = torch.cat([pixels, here.expand(-1, -1, batch, -1), x], dim=-1)
        content = self.content_out(raw + self.gated(raw))
        keys, values = content.split([self.heads * self.key_width, self.out_features], dim=-1)
        queries = self.query(x, Whole())
        out = over_earlier(*(self._by_head(part) for part in (queries, keys, values)))
        return out.permute(2, 0, 1, 3).flatten(2).unflatten(0, (height, width))

    def gated(self, raw: Tensor) -> Tensor:
        """Compute what the gated block of keys and values adds to its input: (..., raw)."""
        y = self.content_dropout(elu(self.content_in(elu(raw))))
        return linear_gate(self.content_gate(y))

    def step(self, batch: int, width: int, context: Context | None = None) -> Step:
        """Make the step of this layer, which applies it one position at a time (`steps`)."""
        return AttentionStep(self, batch, width)

    def _by_head(self, x: Tensor) -> Tensor:
        """(H, W, B, heads * features) -> (B, heads, H * W, features)."""
        return x.flatten(0, 1).unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3)
