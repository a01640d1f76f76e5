"""Attention over all earlier pixels, at one position: a cache of keys and values.

Axes: `B` batch, `W` width of the image, `C` colours, `F` features, `h` heads of all colour groups,
`K` width of a key, `V` width of a value, `N` positions that the cache has room for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from pixelrnn.layers.elu import elu
from pixelrnn.layers.gate import linear_gate
from pixelrnn.layers.places import places
from pixelrnn.layers.steps.base import InputStep, State
from pixelrnn.layers.steps.masked_conv import MaskedConvStep
from pixelrnn.layers.steps.placed_conv import PlacedStep
from pixelrnn.ops import attention_cache, masks, row_functions
from pixelrnn.ops.few_rows import product
from pixelrnn.ops.recorded import Recording, added
from pixelrnn.ops.tapes import Tapes

if TYPE_CHECKING:
    from pixelrnn.layers.attention import CausalAttention


@dataclass
class AttentionState(State):
    """What is remembered of the positions before, and of the pixel at hand.

    Attributes:
        keys: (B, h, ...), K features of N positions, as `ops.attention_cache` lays them out.
        values: (B, h, ...), alike, V features.
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

    repeats = True

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
        self.known, self.room = 0, width  # positions
        self.cache_kind = attention_cache.kind_for(like)
        pixel, widths = like.new_zeros(batch, raw), (self.key_width, self.value_width)
        keys, values = self.cache_kind.start(pixel, layer.heads, widths, self.room)
        self.state = AttentionState(keys, values, pixel)
        self.bind()

    def bind(self) -> None:
        """See `Memory.bind`."""
        raw = self.state.raw
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
        keys, values = self.state.keys, self.state.values
        self.cache = self.cache_kind(keys, values, self.value_width, self.known)
        self.remember = self.cache.remember(self.buffers[-1])
        out = raw.new_empty(len(raw), self.heads[-1].stop, self.value_width)
        self.attend = [self.cache.attend(heads, out[:, heads]) for heads in self.heads]
        self.outputs = [out[:, heads].flatten(1) for heads in self.heads]
        self.tapes = Tapes(1, self.width, raw)

    def begin_row(self, row: int) -> None:
        """Make room for a row; its places are known."""
        for step in (self.query_in, self.query_gate, self.query_out):
            step.begin_row(row)
        self.places = places(range(row, row + 1), self.width, self.size, self.state.raw)[0]
        if self.known + self.width > self.room:
            self.room = max(2 * self.room, self.known + self.width)
            state = self.state
            state.keys, state.values = self.cache.longer(state.keys, state.values, self.room)
            self.cache.move(state.keys, state.values)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Ask what is remembered; x is kept for the key and the value of this pixel."""
        row_functions.copy(x, self.raw_features[group])
        y = self.query_gate(elu(self.query_in(elu(x), column, group)), column, group)
        query = self.query_out(added(x, linear_gate(y)), column, group)
        self.attend[group](query.unflatten(1, (-1, self.key_width)))
        return self.outputs[group]

    def see(self, x: Tensor, column: int, group: int) -> None:
        """Take in a colour group; after the last one the pixel is remembered."""
        self.raw_colors[group].copy_(x)
        if group + 1 < len(self.colors):
            return
        self.raw_place.copy_(self.places[column])
        if (tape := self.tapes.tape(0)) is not None:
            tape(column)
        elif self.tapes.wanted:
            self.tapes.record(column, 0, self._remember)
        else:
            self._remember()
        self.known += 1

    def _remember(self, recording: Recording | None = None) -> None:
        """Compute the key and the value of the pixel at hand; they join those before."""
        raw, (hidden, gates, _) = self.state.raw, self.buffers
        inside, gate, out = self.compute
        inside(elu(raw))
        gate(elu(hidden))
        out(added(raw, linear_gate(gates)))
        self.remember()
