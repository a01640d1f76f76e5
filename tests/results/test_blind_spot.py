"""The picture of experiments/blind_spot: drawn from runs, and never over the one that is kept."""

import runpy
from pathlib import Path

import pytest
import yaml

from pixelrnn.cli.main import main as pixelrnn
from pixelrnn.results import shipped

SCRIPT = shipped.tables().parent / "blind_spot" / "plot.py"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "blind-1"
    folder.mkdir(parents=True)
    data = {"height": 3, "width": 8, "train_size": 2, "val_size": 2, "test_size": 2}
    config = {"data": data, "model": {"_target_": "pixelrnn.models.RowLSTM"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text("step,val/nll,val/regret\n0,20.0,4.0\n9,18.0,2.0\n")
    return folder


def test_the_picture_goes_where_it_is_told_or_beside_the_runs(run, capsys):
    draw = runpy.run_path(str(SCRIPT))["main"]
    kept = SCRIPT.with_name("blind_spot.png")
    before = kept.stat().st_mtime_ns
    assert draw([str(run)]) == run.parent / "blind_spot.png"
    assert draw([str(run), "out=mine.png"]) == Path("mine.png")
    assert Path("mine.png").read_bytes()[1:4] == b"PNG"
    assert kept.stat().st_mtime_ns == before
    assert "| RowLSTM | 18.00 |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="usage"):
        draw([])


def test_the_settings_of_its_readme_are_keys_of_the_command(capsys):
    text = (SCRIPT.parent / "README.md").read_text()
    words = text.partition('SETTINGS="')[2].partition('"')[0].split()
    assert pixelrnn(["train", *words, "model.no_such_key=1"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.count("no such key") == 1
    assert "model.no_such_key" in line
