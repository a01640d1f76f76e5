"""What is measured against computes the same."""

import pytest
import torch

from benchmarks import against_plain
from benchmarks.plain_networks import PlainNetwork
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM


@pytest.mark.parametrize("cls", [PixelCNN, RowLSTM, DiagonalBiLSTM])
def test_the_plain_network_is_the_model(cls):
    model = cls((1, 5, 4), 2, hidden=3, layers=2, head_width=5).double()
    plain = PlainNetwork(model).double()
    images = torch.randint(2, (3, 1, 5, 4), dtype=torch.uint8)
    ours = model(images).permute(2, 3, 0, 1)
    assert torch.allclose(plain(2 * images.double() - 1), ours, atol=1e-6)  # weights were float32
    initial_states = (".state.hidden", ".state.cell")  # which start as zeros
    counted = [w for name, w in model.named_parameters() if not name.endswith(initial_states)]
    assert sum(map(torch.numel, plain.parameters())) == sum(map(torch.numel, counted))


def test_one_row_is_measured(monkeypatch):
    small = (PixelCNN, {"hidden": 2, "layers": 1})
    monkeypatch.setitem(against_plain.CASES, "small", small)
    ticks = iter(range(1000))
    row = against_plain.measure("small", 1, 2, lambda: float(next(ticks)))
    assert row["x plain"].median == row["x plain, fastest turns"] == 1.0
