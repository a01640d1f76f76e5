import pytest
import torch

from pixelrnn.ops.conv_lstm import cell, single_position
from pixelrnn.ops.conv_lstm.reference import equation_3


def buffers(dtype, batch, features):
    """Views of a row, as a step has them."""
    draw = torch.Generator().manual_seed(0)

    def view(width):
        row = torch.randn(batch, 3, width + 2, generator=draw, dtype=torch.float64) * 3
        return row.to(dtype)[:, 1, 1:-1]

    return view(4 * features), view(features), view(features)


@pytest.mark.parametrize("way", [single_position.plain, single_position.native])
@pytest.mark.parametrize(
    ("batch", "features"), [(5, 0), (5, 1), (5, 19), (5, 43), (0, 19), (1, 19)]
)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)], ids=str
)
def test_equation_3(way, dtype, tolerance, batch, features):
    gates, state, hidden = buffers(dtype, batch, features)
    advance = way(gates, state, hidden)
    for _ in range(2):  # on whatever the buffers then hold
        gates.uniform_(-5, 5)
        expected = equation_3(gates.double(), state.double())
        assert advance() is hidden
        torch.testing.assert_close(state.double(), expected.c, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(hidden.double(), expected.h, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_every_dtype_has_a_way(dtype):
    gates, state, hidden = buffers(dtype, 2, 3)
    expected = [tensor.clone() for tensor in (gates, state, hidden)]
    single_position.plain(*expected)()
    single_position.advance_of(gates, state, hidden)()
    tolerance = 2**-7 if dtype == torch.bfloat16 else 1e-6
    torch.testing.assert_close(hidden, expected[2], rtol=tolerance, atol=tolerance)


def test_without_a_compiler_torch_does_it(monkeypatch):
    monkeypatch.setattr(single_position, "cell_for", lambda *_: cell.PLAIN)
    monkeypatch.setattr(single_position.native_cell, "bound_forward", pytest.fail)
    gates, state, hidden = buffers(torch.float32, 2, 3)
    expected = [tensor.clone() for tensor in (gates, state, hidden)]
    single_position.plain(*expected)()
    assert torch.equal(single_position.advance_of(gates, state, hidden)(), expected[2])
