"""The loop against one written cell by cell, and against torch's own LSTM where they coincide."""

import math

import pytest
import torch

from pixelrnn.ops.conv_lstm import reference
from pixelrnn.ops.conv_lstm.dispatch import conv_lstm


def draw(directions, steps, positions, batch, features, taps):
    torch.manual_seed(1)
    shapes = (
        (directions, steps, positions, batch, 4 * features),
        (directions, taps, features, 4 * features),
        (directions, features),
        (directions, features),
    )
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cell_by_cell(gates, kernel, hidden0, cell0, pad_before, frozen):
    """Equation 3 for one number at a time."""
    directions, steps, positions, batch, width = gates.shape
    features, taps = width // 4, kernel.shape[1]
    out = torch.zeros(directions, steps, positions, batch, features, dtype=torch.float64)
    for d in range(directions):
        for b in range(batch):
            h = {p: hidden0[d].tolist() for p in range(positions)}
            c = {p: cell0[d].tolist() for p in range(positions)}
            for t in range(steps):
                new_h, new_c = {}, {}
                for p in range(positions):
                    if frozen is not None and frozen[t, p]:
                        new_h[p], new_c[p] = hidden0[d].tolist(), cell0[d].tolist()
                    else:
                        a = gates[d, t, p, b].tolist()
                        for k in range(taps):
                            source = h.get(p + k - pad_before, hidden0[d].tolist())
                            for f in range(features):
                                for j in range(4 * features):
                                    a[j] += source[f] * kernel[d, k, f, j].item()
                        o, f, i, g = (a[n * features : (n + 1) * features] for n in range(4))
                        new_c[p] = [
                            sigmoid(f[n]) * c[p][n] + sigmoid(i[n]) * math.tanh(g[n])
                            for n in range(features)
                        ]
                        new_h[p] = [sigmoid(o[n]) * math.tanh(new_c[p][n]) for n in range(features)]
                    out[d, t, p, b] = torch.tensor(new_h[p], dtype=torch.float64)
                h, c = new_h, new_c
    return out


SIZES = [(1, 3, 4, 2, 2, 3, 1), (2, 4, 3, 1, 2, 2, 1), (1, 1, 5, 1, 1, 3, 1), (2, 5, 1, 2, 3, 2, 1)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("hold", [False, True])
def test_equals_cell_by_cell(size, hold):
    *shape, pad = size
    tensors = draw(*shape)
    frozen = torch.rand(shape[1], shape[2]) < 0.3 if hold else None
    with torch.no_grad():
        found = conv_lstm(*tensors, pad_before=pad, frozen=frozen, kernel="reference")
        expected = cell_by_cell(*tensors, pad, frozen)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_equals_lstm_cell_where_they_coincide():
    """A kernel of one tap makes every position an LSTM of its own; torch's gates are i, f, g, o."""
    gates, kernel, hidden0, cell0 = draw(1, 5, 3, 2, 4, 1)
    cell = torch.nn.LSTMCell(16, 4, bias=False).double()
    blocks = kernel[0, 0].T.chunk(4)  # o, f, i, g
    order = [2, 1, 3, 0]
    with torch.no_grad():
        cell.weight_hh.copy_(torch.cat([blocks[n] for n in order]))
        cell.weight_ih.copy_(torch.cat([torch.eye(16).chunk(4)[n] for n in order]))
        h, c = hidden0.expand(6, 4), cell0.expand(6, 4)
        expected = []
        for t in range(5):
            h, c = cell(gates[0, t].reshape(6, 16), (h, c))
            expected.append(h.view(3, 2, 4))
        found = reference.conv_lstm(gates, kernel, hidden0, cell0, 0, None)
    assert torch.allclose(found[0], torch.stack(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gate", range(4))
def test_a_fault_of_one_percent_in_a_gate_is_found(monkeypatch, gate):
    honest = reference.equation_3

    def faulty(gates, c):
        gates = gates.clone()
        gates.unflatten(-1, (4, -1))[..., gate, :].mul_(1.01)
        return honest(gates, c)

    tensors = draw(1, 3, 4, 2, 2, 3)
    monkeypatch.setattr(reference, "equation_3", faulty)
    with torch.no_grad():
        found = reference.conv_lstm(*tensors, 1, None)
        assert not torch.allclose(found, cell_by_cell(*tensors, 1, None), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input_to_state": torch.zeros(1, 2, 3, 4)}, "input_to_state"),
        ({"state_to_state": torch.zeros(2, 3, 2, 8)}, "state_to_state"),
        ({"initial_cell": torch.zeros(1, 3)}, "initial_cell"),
        ({"pad_before": 3}, "pad_before"),
        ({"frozen": torch.zeros(3, 3, dtype=torch.bool)}, "frozen"),
        ({"kernel": "fastest"}, "choose auto, reference, autograd"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_wrong_calls_are_refused(change, says):
    names = ("input_to_state", "state_to_state", "initial_hidden", "initial_cell")
    call = {**dict(zip(names, draw(1, 2, 3, 2, 2, 3), strict=True)), "pad_before": 1, **change}
    with pytest.raises(ValueError, match=says):
        conv_lstm(**call)
