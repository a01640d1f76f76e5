"""A run that commit 950a701 left half done goes on, and ends as it did there."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from pixelrnn.cli.main import main
from pixelrnn.training.load import load_model

pytestmark = pytest.mark.filterwarnings("ignore")
RUN = Path(__file__).parents[1] / "fixtures" / "run-950a701"
IMAGES = (torch.arange(4 * 64) * 7 % 17).to(torch.uint8).view(4, 1, 8, 8)


def log_prob(run):
    return load_model(run).double().log_prob(IMAGES).tolist()


def test_it_goes_on(tmp_path, capfd):
    """Machines round differently, hence the tolerance; the fixture was made on another."""
    expected = json.loads((RUN / "expected.json").read_text())
    run = shutil.copytree(RUN, tmp_path / "run")
    assert log_prob(run) == pytest.approx(expected["half"], rel=1e-12)
    assert main(["train", f"run={run}"]) == 0
    assert "resuming from step 9" in capfd.readouterr().err
    record = json.loads((run / "results.json").read_text())
    assert (record["steps"], record["epochs"]) == (expected["steps"], expected["epochs"])
    assert record["metrics"]["val/bits_per_dim"] == pytest.approx(expected["val/bits_per_dim"])
    assert log_prob(run) == pytest.approx(expected["whole"], rel=1e-5)
    assert len((run / "metrics.csv").read_text().splitlines()) == 1 + 3
