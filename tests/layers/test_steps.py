"""Each layer, position by position, is the layer on the whole map, and its plain twin."""

import pytest
import torch

from pixelrnn import threads
from pixelrnn.layers.apply import Context, Whole
from pixelrnn.layers.attention import CausalAttention
from pixelrnn.layers.conditioning import Conditions
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.placed_conv import PlacedConv
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.layers.stem import Stem
from pixelrnn.layers.steps import plain, plain_attention
from pixelrnn.layers.steps.base import InputStep
from pixelrnn.layers.vertical_stack import VerticalStack
from pixelrnn.ops import masks

SETTINGS = LSTMSettings(forget_bias=0.5, kernel="reference")
BOTH, VECTOR, MAP = Conditions(3, 2), Conditions(vector=3), Conditions(map=2)
LAYERS = {
    "1x1": lambda f, g: MaskedConv2d("B", f, 2 * f, (1, 1), g),
    "1x1 of 4 parts": lambda f, g: MaskedConv2d("B", f, 2 * f, (1, 1), g, parts=4),
    "3x3": lambda f, g: MaskedConv2d("B", f, 2 * f, (3, 3), g),
    "5x1": lambda f, g: MaskedConv2d("B", f, 2 * f, (5, 1), g),
    "1x5": lambda f, g: MaskedConv2d("B", f, 2 * f, (1, 5), g),
    "2x2": lambda f, g: MaskedConv2d("B", f, 2 * f, (2, 2), g),
    "1x1, placed": lambda f, g: PlacedConv(f, 2 * f, g, (3, 4)),
    "A 3x5": lambda f, g: MaskedConv2d("A", f, 2 * f, (3, 5), g),
    "A 1x1": lambda f, g: MaskedConv2d("A", f, 2 * f, (1, 1), g),
    "stem": lambda f, g: Stem(f, 2 * f, 3, g),
    "stem, row end": lambda f, g: Stem(f, 2 * f, 1, g, row_end=True),
    "row LSTM": lambda f, g: RowLSTMLayer(f, 2 * f, 3, g, SETTINGS),
    "row LSTM 5": lambda f, g: RowLSTMLayer(f, 2 * f, 5, g, SETTINGS),
    "diagonal BiLSTM": lambda f, g: DiagonalBiLSTMLayer(f, 2 * f, g, SETTINGS),
    "vertical stack": lambda f, g: VerticalStack(f, 2 * f, 3, 5, 3, g),
    "vertical stack of one layer": lambda f, g: VerticalStack(f, 2 * f, 1, 1, 3, g),
    "vertical stack without a first gate": lambda f, g: VerticalStack(
        f, 2 * f, 3, 5, 3, g, conditions=VECTOR, first_gated=False
    ),
    "1x1, given both": lambda f, g: MaskedConv2d("B", f, 2 * f, (1, 1), g, 1, BOTH),
    "3x3, given a vector": lambda f, g: MaskedConv2d("B", f, 2 * f, (3, 3), g, 1, VECTOR),
    "1x5 of 4 parts, given a map": lambda f, g: MaskedConv2d("B", f, 2 * f, (1, 5), g, 4, MAP),
    "stem, row end, given both": lambda f, g: Stem(f, 2 * f, 1, g, True, BOTH),
    "row LSTM, given both": lambda f, g: RowLSTMLayer(f, 2 * f, 3, g, SETTINGS, BOTH),
    "diagonal BiLSTM, given both": lambda f, g: DiagonalBiLSTMLayer(f, 2 * f, g, SETTINGS, BOTH),
    "diagonal BiLSTM, given a map": lambda f, g: DiagonalBiLSTMLayer(f, 2 * f, g, SETTINGS, MAP),
    "vertical stack, given both": lambda f, g: VerticalStack(f, 2 * f, 3, 5, 3, g, conditions=BOTH),
}


def twin_of(layer, batch, width, context):
    if isinstance(layer, RowLSTMLayer):
        return plain.PlainRowLSTM(layer, batch, context)
    if isinstance(layer, DiagonalBiLSTMLayer):
        return plain.PlainDiagonalBiLSTM(layer, batch, width, context)
    if isinstance(layer, VerticalStack):
        return plain.PlainVerticalStack(layer, batch, width, context)
    if isinstance(layer, Stem):
        if layer.row_end is not None:
            return plain.PlainRowEnd(layer, batch, width, context)
        layer = layer.conv
    if isinstance(layer, PlacedConv):
        return plain_attention.PlainPlacedConv(layer, batch)
    twin = plain.PlainInputConv if layer.mask_type == "A" else plain.PlainConv
    return twin(layer, batch, context)


def walk(step, x, groups):
    """(H, W, B, in) -> (H, W, B, out), by steps."""
    height, width, _, features = x.shape
    slices = masks.group_slices(features, groups)
    sees_input = isinstance(step, InputStep | plain.PlainInputConv | plain.PlainVerticalStack)
    rows = []
    for r in range(height):
        step.begin_row(r)
        pixels = []
        for c in range(width):
            outputs = []
            for group, members in enumerate(slices):
                now = x[r, c, :, members]
                unknown = torch.full_like(now, torch.nan)
                outputs.append(step(unknown if sees_input else now, c, group).clone())
                if sees_input:
                    step.see(now, c, group)
            pixels.append(torch.cat(outputs, dim=-1))
        rows.append(torch.stack(pixels))
    return torch.stack(rows)


@pytest.mark.parametrize("size", [(3, 4), (4, 1), (1, 4), (1, 1)])
@pytest.mark.parametrize(("features", "groups"), [(4, 3), (3, 3), (1, 1), (2, 3), (4, 1)])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str
)
def test_steps_are_the_layer(name, features, groups, size, dtype, tolerance):
    torch.manual_seed(0)
    layer = LAYERS[name](features, groups).to(dtype)
    with torch.no_grad(), threads.limited(1):
        for weight in layer.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        x = torch.randn(*size, 2, features, dtype=dtype)
        context = Context(torch.randn(2, 3, dtype=dtype), torch.randn(2, 2, *size, dtype=dtype))
        expected = Whole(context)(layer, x)
        parts = getattr(layer, "parts", 1)
        parts = sum(parts) if isinstance(parts, list) else parts
        order = masks.group_index(expected.shape[-1] // parts, groups, parts)
        expected = expected[..., order.argsort(stable=True)]  # colour first, then part
        got = walk(layer.step(2, size[1], context), x, groups)
        twin = walk(twin_of(layer, 2, size[1], context), x, groups)
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(twin, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_an_empty_batch(name, dtype):
    layer = LAYERS[name](4, 3).to(dtype)
    x = torch.zeros(3, 4, 0, 4, dtype=dtype)
    context = Context(torch.zeros(0, 3, dtype=dtype), torch.zeros(0, 2, 3, 4, dtype=dtype))
    with torch.no_grad():
        assert walk(layer.step(0, 4, context), x, 3).shape == Whole(context)(layer, x).shape


def attention(features, groups, heads, colors=3):
    size = (9, 4) if heads == 1 else (1, 1)
    return CausalAttention(colors, features, 3, 5, heads, groups, size)


@pytest.mark.parametrize("size", [(9, 4), (3, 1), (1, 4), (1, 1)])  # the first outgrows the cache
@pytest.mark.parametrize(("features", "groups", "heads"), [(4, 3, 1), (2, 3, 2), (4, 1, 2)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str
)
def test_attention_by_steps_is_the_layer(features, groups, heads, size, dtype, tolerance):
    """It sees the pixels beside its input."""
    layer = attention(features, groups, heads).to(dtype)
    with torch.no_grad(), threads.limited(1):
        for weight in layer.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        x, pixels = torch.randn(*size, 2, features + 3, dtype=dtype).split([features, 3], dim=-1)
        expected = layer(x, pixels)
        for step in (layer.step(2, size[1]), plain_attention.PlainAttention(layer, 2)):
            found = walk_beside(step, x, pixels, groups)
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def walk_beside(step, x, pixels, groups):
    """(H, W, B, in) and (H, W, B, C) -> (H, W, B, out), by steps."""
    features = masks.group_slices(x.shape[-1], groups)
    colors = masks.group_slices(pixels.shape[-1], groups)
    rows = []
    for r in range(len(x)):
        step.begin_row(r)
        for c in range(x.shape[1]):
            for group in range(groups):
                rows.append(step(x[r, c, :, features[group]], c, group).clone())
                step.see(pixels[r, c, :, colors[group]], c, group)
    outputs = [torch.cat(rows[i : i + groups], dim=-1) for i in range(0, len(rows), groups)]
    return torch.stack(outputs).unflatten(0, x.shape[:2])


def test_attention_in_an_empty_batch():
    layer = attention(4, 3, 1)
    x, pixels = torch.zeros(3, 4, 0, 4), torch.zeros(3, 4, 0, 3)
    with torch.no_grad():
        expected = layer(x, pixels)
        assert walk_beside(layer.step(0, 4), x, pixels, 3).shape == expected.shape
