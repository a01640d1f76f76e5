import pytest
import torch

from pixelrnn.layers import reference
from pixelrnn.layers.apply import Context, Whole
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.ops.conv_lstm.dispatch import RUNGS


def settings(kernel):
    return LSTMSettings(forget_bias=0.3, kernel=kernel)


LAYERS = {
    "row_lstm": lambda groups, *more: RowLSTMLayer(6, 5, 3, groups, *more),
    "row_lstm wide": lambda groups, *more: RowLSTMLayer(6, 5, 5, groups, *more),
    "diagonal_bilstm": lambda groups, *more: DiagonalBiLSTMLayer(6, 5, groups, *more),
}
HERE = [name for name, rung in RUNGS.items() if rung.device != "cuda"]
SIZES = [(1, 1, 1), (1, 5, 2), (5, 1, 1), (3, 4, 2), (4, 2, 1)]  # H, W, B


@pytest.mark.parametrize("kernel", HERE)
@pytest.mark.parametrize(
    ("groups", "conditions"),
    [(1, NOTHING), (3, NOTHING), (3, Conditions(vector=2)), (1, Conditions(2, 3))],
    ids=str,
)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_equal_the_paper_step_by_step(name, size, groups, conditions, kernel):
    """Initial states and biases are not zero: what leaks from the skew's padding would show."""
    torch.manual_seed(0)
    layer = LAYERS[name](groups, settings(kernel), conditions).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(*size, 6, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(*size, 5, dtype=torch.float64)
    plain = getattr(reference, name.split()[0])
    height, width, batch = size
    vector = torch.randn(batch, 2, dtype=torch.float64, requires_grad=True)
    map_ = torch.randn(batch, 3, height, width, dtype=torch.float64, requires_grad=True)
    context = Context(vector, map_)
    leaves = [x, *layer.parameters()]
    leaves += [vector] if conditions.vector else []
    leaves += [map_] if conditions.map else []
    results = []
    for y in (Whole(context)(layer, x), plain(layer, x, context)):
        results.append([y, *torch.autograd.grad(y, leaves, upstream)])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12, rtol=1e-11)
