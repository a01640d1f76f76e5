"""Attention over all earlier pixels, at one position: a cache of keys and values.

Axes: `B` batch, `W` width of the image, `C` colours, `F` features, `h` heads of all colour groups,
`K` width of a key, `V` width of a value, `N` positions that the cache has room for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from pixelrnn.layers.elu import elu
from pixelrnn.layers.gate import linear_gate
from pixelrnn.layers.places import places
from pixelrnn.layers.steps.base import InputStep, State
from pixelrnn.layers.steps.masked_conv import MaskedConvStep
from pixelrnn.layers.steps.placed_conv import PlacedStep
from pixelrnn.ops import attention, masks
from pixelrnn.ops.few_rows import product

if TYPE_CHECKING:
    from pixelrnn.layers.attention import CausalAttention


@dataclass
class AttentionState(State):
    """What is remembered of the positions before, and of the pixel at hand.

    Attributes:
        keys: (B, h, K, N); zeros at positions that are not known yet.
        values: (B, h, N, V'), alike; V' is V and what `ops.attention.cached` wants beside it.
        raw: (B, C + 2 + F), the pixel at hand: its colours, its place, its features.
    """

    keys: Tensor
    values: Tensor
    raw: Tensor


class AttentionStep(InputStep):
    """A query for each head meets what is remembered; a known pixel's key and value join that.

    The memory is doubled when a row begins that it has no room for.

    Args:
        layer: the layer.
        batch: B.
        width: W.
    """

    def __init__(self, layer: "CausalAttention", batch: int, width: int) -> None:
        self.query_in = PlacedStep(layer.query_in, batch, width)
        self.query_gate = MaskedConvStep(layer.query_gate, batch, width)
        self.query_out = PlacedStep(layer.query_out, batch, width)
        content = (layer.content_in, layer.content_gate, layer.content_out)
        self.content = [product(linear.weight.t()) for linear in content]
        self.content_biases = [linear.bias.clone() for linear in content]
        self.key_width, self.value_width = layer.key_width, layer.value_width
        like, groups = layer.content_in.weight, layer.color_groups  # (F, C + 2 + F)
        features, raw = like.shape
        self.place = slice(raw - features - 2, raw - features)
        self.colors = masks.group_slices(self.place.start, groups)
        self.features = masks.group_slices(features, groups)
        self.heads = masks.group_slices(layer.heads, groups)
        self.width, self.size = width, layer.size
        self.known = 0  # positions
        room = attention.rounded(width, attention.LANES)
        value_room = attention.rounded(self.value_width, attention.VALUE_LANES)
        self.state = AttentionState(
            keys=like.new_zeros(batch, layer.heads, self.key_width, room),
            values=like.new_zeros(batch, layer.heads, room, value_room),
            raw=like.new_zeros(batch, raw),
        )
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        keys, values, raw = self.state.keys, self.state.values, self.state.raw
        self.raw_colors = [raw[:, group] for group in self.colors]
        self.raw_place = raw[:, self.place]
        self.raw_features = [raw[:, self.place.stop :][:, group] for group in self.features]
        self.buffers = [raw.new_empty(len(raw), len(bias)) for bias in self.content_biases]
        self.compute = [
            weights.add(out, bias)
            for weights, out, bias in zip(
                self.content, self.buffers, self.content_biases, strict=True
            )
        ]
        out = raw.new_empty(len(raw), keys.shape[1], self.value_width)
        self.attend = [
            attention.cached(keys[:, heads], values[:, heads], out[:, heads])
            for heads in self.heads
        ]
        self.outputs = [out[:, heads].flatten(1) for heads in self.heads]

    def begin_row(self, row: int) -> None:
        """Make room for a row; its places are known."""
        for step in (self.query_in, self.query_gate, self.query_out):
            step.begin_row(row)
        self.places = places(range(row, row + 1), self.width, self.size, self.state.raw)[0]
        state, room = self.state, self.state.keys.shape[-1]
        if self.known + self.width > room:
            needed = max(2 * room, self.known + self.width)
            more = attention.rounded(needed, attention.LANES) - room
            state.keys = F.pad(state.keys, (0, more))
            state.values = F.pad(state.values, (0, 0, 0, more))
            self.bind()

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Ask what is remembered; x is kept for the key and the value of this pixel."""
        if group == 0:
            self.raw_place.copy_(self.places[column])
        self.raw_features[group].copy_(x)
        y = self.query_gate(elu(self.query_in(elu(x), column, group)), column, group)
        query = self.query_out(x + linear_gate(y), column, group)
        self.attend[group](query.unflatten(1, (-1, self.key_width)), self.known)
        return self.outputs[group]

    def see(self, x: Tensor, column: int, group: int) -> None:
        """Take in a colour group; after the last one the pixel is remembered."""
        self.raw_colors[group].copy_(x)
        if group + 1 == len(self.colors):
            self._remember()

    def _remember(self) -> None:
        state, (hidden, gates, content) = self.state, self.buffers
        inside, gate, out = self.compute
        inside(elu(state.raw))
        gate(elu(hidden))
        out(state.raw + linear_gate(gates))
        heads = state.keys.shape[1]
        keys, values = content.split([heads * self.key_width, heads * self.value_width], dim=1)
        state.keys[..., self.known] = keys.unflatten(1, (heads, -1))
        state.values[:, :, self.known, : self.value_width] = values.unflatten(1, (heads, -1))
        self.known += 1
