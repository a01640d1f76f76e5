"""docs/threat-model.md: each line names a test that there is; and tests that stand nowhere else."""

import re
import sys
from pathlib import Path

import pytest
import torch

from pixelrnn.errors import RunError
from pixelrnn.training import load, trust
from pixelrnn.training.checkpoint import AtomicCheckpointIO

ROOT = Path(__file__).parents[2]
LINES = [
    line
    for line in (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| what comes", "| secret |"))
]


def test_each_line_names_a_test_that_there_is():
    assert len(LINES) >= 15
    for line in LINES:
        (path, name) = re.search(r"`(tests/[\w/]+\.py)::(\w+)` \|$", line).groups()
        assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), line


def test_a_module_in_a_run_folder_is_never_imported(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    (run / "evil_part.py").write_text("open('called', 'w')\nclass Model: pass\n")
    monkeypatch.chdir(tmp_path)
    for name in ("evil_part.Model", "run.evil_part.Model"):
        with pytest.raises(RunError, match=f"will not call {name}"):
            trust.check({"_target_": name}, trust.RUNS, run)
    assert not Path("called").exists()
    assert "evil_part" not in sys.modules


def test_a_description_whose_name_is_no_text_is_refused(tmp_path):
    path = tmp_path / "model.ckpt"
    content = {"state_dict": {"model.w": torch.zeros(1)}, "model": {"_target_": []}}
    AtomicCheckpointIO().save_checkpoint(content, path)
    with pytest.raises(RunError, match=r"\[\]"):
        load.load_model(path)


def test_a_description_that_contains_itself_is_refused(tmp_path):
    description = {"_target_": "pixelrnn.models.PixelCNN", "likelihood": []}
    description["likelihood"].append(description)
    path = tmp_path / "model.ckpt"
    content = {"state_dict": {"model.w": torch.zeros(1)}, "model": description}
    AtomicCheckpointIO().save_checkpoint(content, path)
    with pytest.raises(RunError, match="the description cannot be used: it is nested more than"):
        load.load_model(path)
