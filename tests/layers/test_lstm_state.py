"""What the recurrent layers begin with: the forget bias, and the initial state."""

import math

import pytest
import torch

from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.lstm_state import LSTMSettings, LSTMState
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.ops.conv_lstm.reference import equation_3

LAYERS = {
    "row_lstm": lambda settings: RowLSTMLayer(6, 5, 3, 3, settings),
    "diagonal_bilstm": lambda settings: DiagonalBiLSTMLayer(6, 5, 3, settings),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_forget_bias_opens_the_forget_gates_and_no_others(name):
    layer = LAYERS[name](LSTMSettings(forget_bias=1.5))
    gates = layer.input_to_state.bias.detach().view(-1, 4 * 5)  # of each direction
    found = equation_3(gates, torch.zeros(len(gates), 5))
    torch.testing.assert_close(found.f, torch.full_like(found.f, 1 / (1 + math.exp(-1.5))))
    for gate in (found.o, found.i):
        assert (gate == 0.5).all()
    assert (found.g == 0).all()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("learned", [False, True])
def test_the_initial_state_begins_at_zero_and_may_stay_there(name, learned):
    state = LAYERS[name](LSTMSettings(learned_initial_state=learned)).state
    for part in (state.hidden, state.cell):
        assert not part.any()
        assert part.requires_grad == learned
    assert state.weight.requires_grad


def test_initial_weights_have_the_variance_of_their_inputs():
    weight = LSTMState(2, 3, 40, True).weight.detach()
    assert weight.abs().max() <= 1 / math.sqrt(3 * 40)
    assert weight.var().item() == pytest.approx(1 / (3 * 3 * 40), rel=0.05)
