"""Exact receptive fields, against reachability computed on sets of pixels, with no tensors.

`sees[p]` is the set of pixels on which the output at p may depend. Grey images: within a pixel
there is nothing to see. The reference propagates sets through each layer as the paper defines it.
"""

from functools import partial

import pytest
import torch

from pixelrnn.layers.apply import Whole
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from tests.helpers import randomise

SHAPES = [(7, 9), (1, 8), (8, 1), (5, 5)]


def pixels(height, width):
    return [(r, c) for r in range(height) for c in range(width)]


def convolve(sees, height, width, size, mask):
    """Union over the causal window; mask A leaves the centre out."""
    half, result = size // 2, {}
    for r, c in pixels(height, width):
        seen = set()
        for dr in range(-half, 1):
            for dc in range(-half, half + 1):
                future = dr == 0 and (dc > 0 or (dc == 0 and mask == "A"))
                if not future and (r + dr, c + dc) in sees:
                    seen |= sees[r + dr, c + dc]
        result[r, c] = seen
    return result


def stem(height, width, size):
    return convolve({p: {p} for p in pixels(height, width)}, height, width, size, "A")


def join(*maps):
    return {p: set().union(*(m[p] for m in maps)) for p in maps[0]}


def pixelcnn(height, width, layers, first, size):
    sees = stem(height, width, first)
    for _ in range(layers):
        sees = join(sees, convolve(sees, height, width, size, "B"))
    return sees


def row_lstm(height, width, layers, first, size):
    sees = stem(height, width, first)
    half = size // 2
    for _ in range(layers):
        state = {}
        for r, c in pixels(height, width):
            seen = set()
            for d in range(-half, 1):
                seen |= sees.get((r, c + d), set())
            for d in range(-half, half + 1):
                seen |= state.get((r - 1, c + d), set())
            state[r, c] = seen
        sees = join(sees, state)
    return sees


def diagonal_bilstm(height, width, layers, first, _):
    sees = stem(height, width, first)
    for _ in range(layers):
        left, right = {}, {}
        for r in range(height):
            for c in range(width):
                left[r, c] = sees[r, c] | left.get((r, c - 1), set()) | left.get((r - 1, c), set())
            for c in reversed(range(width)):
                right[r, c] = (
                    sees[r, c] | right.get((r, c + 1), set()) | right.get((r - 1, c), set())
                )
        shifted = {(r, c): right.get((r - 1, c), set()) for r, c in left}
        sees = join(sees, left, shifted)
    return sees


def gated_pixelcnn(height, width, layers, first, size):
    """Vertical: whole rows above, no mask. Horizontal: the row at hand, and the vertical link."""
    places = pixels(height, width)
    vertical = {(r, c): {(r - 1, c)} if r else set() for r, c in places}
    horizontal = {p: {p} for p in places}
    for layer in range(layers + 1):
        half = (size if layer else first) // 2
        vertical = {
            (r, c): set().union(
                *(
                    vertical.get((r - up, c + right), set())
                    for up in range(half + 1)
                    for right in range(-half, half + 1)
                )
            )
            for r, c in places
        }
        own = 1 if layer else 0  # mask A leaves the pixel itself out
        horizontal = {
            (r, c): vertical[r, c].union(
                *(horizontal.get((r, c + right), set()) for right in range(-half, own))
            )
            for r, c in places
        }
    return horizontal


def measured(model, height, width):
    """Which inputs have a gradient."""
    x = torch.randn(height, width, 1, 1, dtype=torch.float64, requires_grad=True)
    outputs = model.compose(x, Whole()).sum(-1)[..., 0]
    sees = {}
    for p in pixels(height, width):
        (gradient,) = torch.autograd.grad(outputs[p], x, retain_graph=True)
        sees[p] = {tuple(q) for q in gradient[..., 0, 0].nonzero().tolist()}
    return sees


@pytest.mark.usefixtures("no_dead_relu")
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("size", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("build", "reference"),
    [
        (PixelCNN, pixelcnn),
        (partial(GatedPixelCNN, kernel_size=3), gated_pixelcnn),
        (RowLSTM, row_lstm),
        (DiagonalBiLSTM, diagonal_bilstm),
    ],
    ids=["pixelcnn", "gated_pixelcnn", "row_lstm", "diagonal_bilstm"],
)
def test_field_is_exactly_what_the_paper_says(build, reference, size, layers):
    model = build((1, *size), 4, hidden=4, layers=layers, head_width=4, first_kernel_size=5)
    model = randomise(model.double(), 0.3)
    assert measured(model, *size) == reference(*size, layers, 5, 3)


@pytest.mark.usefixtures("no_dead_relu")
def test_a_kernel_that_is_shifted_is_found(monkeypatch):
    """Planted fault: the state-to-state kernel reads the row below its own (pad after)."""
    from pixelrnn.layers import diagonal_bilstm as layer

    honest = layer.conv_lstm
    monkeypatch.setattr(layer, "conv_lstm", lambda *a, **k: honest(*a, **{**k, "pad_before": 0}))
    model = DiagonalBiLSTM((1, 5, 5), 4, hidden=4, layers=1, head_width=4, first_kernel_size=5)
    found = measured(randomise(model.double(), 0.3), 5, 5)
    assert found != diagonal_bilstm(5, 5, 1, 5, 3)


def test_row_lstm_is_a_triangle():
    """One column wider to the right for each row up; left one more for each of the two kernels."""
    sees = row_lstm(9, 9, 1, 3, 3)
    for up in range(1, 9):
        reach = {c for r, c in sees[8, 4] if r == 8 - up}
        assert reach == {c for c in range(9) if 4 - up - 2 <= c <= 4 + up}


def test_pixelcnn_has_a_blind_spot():
    sees = pixelcnn(12, 12, 3, 3, 3)
    assert (10, 4) in sees[11, 4]
    assert (10, 9) not in sees[11, 4]  # right and above: in the context, never in sight


@pytest.mark.usefixtures("no_dead_relu")
def test_gated_pixelcnn_has_no_blind_spot():
    """Its field is the whole context once it is deep enough, on the right and above, too."""
    height, width, layers = 5, 7, 5
    model = GatedPixelCNN(
        (1, height, width), 4, 4, layers, head_width=4, first_kernel_size=3, kernel_size=3
    )
    sees = measured(randomise(model.double(), 0.5), height, width)
    assert sees == {p: {q for q in pixels(height, width) if q < p} for p in sees}
    assert pixelcnn(height, width, layers, 3, 3) != sees  # as deep, and blind


@pytest.mark.parametrize("layers", [1, 4])
def test_diagonal_bilstm_misses_one_pixel(layers):
    height, width, first = 6, 12, 3
    sees = diagonal_bilstm(height, width, layers, first, None)
    for r, c in sees:
        context = {q for q in sees if q < (r, c)}
        missing = {(r - 1, width - 1)} if r > 0 and c + first // 2 < width - 1 else set()
        assert context - sees[r, c] == missing


@pytest.mark.usefixtures("no_dead_relu")
@pytest.mark.parametrize("size", [(5, 7), (5, 1)], ids=str)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("full_context", [True, "blank_column"])
def test_full_context_misses_nothing(full_context, layers, size):
    model = DiagonalBiLSTM(
        (1, *size), 4, 4, layers, head_width=4, first_kernel_size=3, full_context=full_context
    )
    sees = measured(randomise(model.double(), 0.3), *size)
    assert sees == {p: {q for q in pixels(*size) if q < p} for p in pixels(*size)}


@pytest.mark.usefixtures("no_dead_relu")
@pytest.mark.parametrize("size", [(5, 7), (1, 5), (5, 1)], ids=str)
def test_pixelsnail_sees_all_in_one_layer(size):
    model = PixelSNAIL((1, *size), 4, 4, 1, head_width=4, convolutions=1, key_width=2)
    sees = measured(randomise(model.double(), 0.3), *size)
    assert sees == {p: {q for q in pixels(*size) if q < p} for p in pixels(*size)}
