"""A run that was made before the seams were opened (commit 70a6589) is read as it was written."""

import json
from pathlib import Path

import pytest
import torch

from pixelrnn.models import DiagonalBiLSTM
from pixelrnn.training.load import load_model

RUN = Path(__file__).parents[1] / "fixtures" / "run-70a6589"


@pytest.mark.parametrize("path", [RUN, RUN / "checkpoints" / "best.ckpt"], ids=["folder", "file"])
def test_same_log_probabilities(path):
    model = load_model(path).double()
    assert isinstance(model, DiagonalBiLSTM)
    assert (model.hidden, model.layers, model.head_width) == (3, 1, 4)
    images = (torch.arange(4 * 64) * 7 % 17).to(torch.uint8).view(4, 1, 8, 8)
    expected = torch.tensor(json.loads((RUN / "log_prob.json").read_text()), dtype=torch.float64)
    torch.testing.assert_close(model.log_prob(images).detach(), expected, rtol=1e-12, atol=0)
