"""The plain twins (see `plain`) of the attention's step, and of the convolution in it.

Axes: `B` batch, `K` width of a key, `V` width of a value.
"""

import torch
from torch import Tensor, nn

from pixelrnn.layers.attention import CausalAttention
from pixelrnn.layers.placed_conv import PlacedConv
from pixelrnn.layers.steps.plain import Pixels, PlainConv
from pixelrnn.ops import masks


class PlainPlacedConv(PlainConv):
    """The 1x1 plus of_place @ (row, column)."""

    def __init__(self, conv: PlacedConv, batch: int) -> None:
        super().__init__(conv, batch)
        self.of_place, self.size = conv.of_place, conv.size

    def outputs(self, column: int, group: int) -> Tensor:
        """Sum over the colours and the place: (B, out of the group)."""
        placed = self.of_place(place(self.row, column, self.size, self.bias))
        return super().outputs(column, group) + placed[self.group_of == group]


class PlainAttention:
    """Sum over earlier pixels j of softmax(q[i] . k[j] / sqrt K) v[j], for each head."""

    def __init__(self, layer: CausalAttention, batch: int) -> None:
        self.layer, self.row = layer, 0
        self.steps = {
            layer.query_in: PlainPlacedConv(layer.query_in, batch),
            layer.query_gate: PlainConv(layer.query_gate, batch),
            layer.query_out: PlainPlacedConv(layer.query_out, batch),
        }
        features, raw = layer.content_in.weight.shape
        groups = layer.color_groups
        self.heads = masks.group_slices(layer.heads, groups)
        self.colors = masks.group_slices(raw - 2 - features, groups)
        self.features = masks.group_slices(features, groups)
        self.x = Pixels(layer.content_in.bias.new_zeros(features), batch)
        self.pixels = Pixels(layer.content_in.bias.new_zeros(raw - 2 - features), batch)

    def begin_row(self, row: int) -> None:
        """Stand before a row."""
        self.row = row
        for step in self.steps.values():
            step.begin_row(row)

    def see(self, x: Tensor, column: int, group: int) -> None:
        """Take in the pixels of one colour group."""
        self.pixels.set((self.row, column), self.colors[group], x)

    def __call__(self, x: Tensor, column: int, group: int) -> Tensor:
        """Compute the features of one colour group at a pixel of this row: (B, out of group)."""
        here, width = (self.row, column), self.layer.key_width
        self.x.set(here, self.features[group], x)

        def run(layer: nn.Module, x: Tensor, pixels: Tensor | None = None) -> Tensor:
            return self.steps[layer](x, column, group)  # type: ignore[index]

        earlier = [self._content(position) for position in sorted(self.x.known) if position < here]
        query = self.layer.query(x, run).unflatten(-1, (-1, width))  # (B, heads of the group, K)
        outputs = []
        for index, head in enumerate(range(self.layer.heads)[self.heads[group]]):
            scores = [(query[:, index] * keys[:, head]).sum(-1) for keys, _ in earlier]
            weights = [(score / width**0.5).exp() for score in scores]
            total = sum(weights, torch.zeros(()))
            seen = x.new_zeros(len(x), self.layer.value_width)
            for weight, (_, values) in zip(weights, earlier, strict=True):
                seen = seen + (weight / total)[:, None] * values[:, head]
            outputs.append(seen)
        return torch.cat(outputs, dim=-1)

    def _content(self, position: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The keys (B, heads, K) and values (B, heads, V) of a pixel that is known."""
        layer, pixel = self.layer, self.pixels[position]
        here = place(*position, layer.size, pixel).expand(len(pixel), -1)
        raw = torch.cat([pixel, here, self.x[position]], dim=-1)
        content = layer.content_out(raw + layer.gated(raw))
        keys, values = content.split([layer.heads * layer.key_width, layer.out_features], dim=-1)
        return keys.unflatten(-1, (layer.heads, -1)), values.unflatten(-1, (layer.heads, -1))


def place(row: int, column: int, size: tuple[int, int], like: Tensor) -> Tensor:
    """Row and column, relative to the image: (2,)."""
    return like.new_tensor([row / size[0] - 0.5, column / size[1] - 0.5])
