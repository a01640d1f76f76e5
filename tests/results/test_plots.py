"""Pictures of tables: bands over seeds, and no state of matplotlib changed."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from pixelrnn.cli.main import main
from pixelrnn.results import collect, plots, rows, tables
from tests.results.runs import write

CATALOGUE = rows.load()


def filled(root, name="table2", scale="paper"):
    return tables.fill(CATALOGUE, name, scale, collect.scan(root))


def test_pictures(tmp_path):
    folder = write(tmp_path, "a-0", 3.0)
    write(tmp_path, "a-1", 3.1, seed=1)
    assert plots.learning_curve(folder, "val/bits_per_dim") == [(19, 4.0), (99, 3.0)]
    for scale in ("paper", "small"):
        table = filled(tmp_path, scale=scale)
        plots.table_plot(table, tmp_path / "t.png")
        assert (tmp_path / "t.png").read_bytes()[1:4] == b"PNG"
        assert plots.curves(table, tmp_path / f"{scale}.png") == (scale == "paper")


def test_seeds_are_a_band_around_their_mean():
    runs = [[(0, 4.0), (10, 2.0)], [(0, 6.0), (10, 3.0)], [(0, 11.0), (10, 2.5)]]
    steps, low, mean, high = plots.seed_band(runs)
    assert steps.tolist() == [0, 10]
    assert np.array_equal([low, mean, high], [[4.0, 2.0], [7.0, 2.5], [11.0, 3.0]])


def test_seeds_that_were_validated_at_other_steps_meet_where_all_have_been():
    runs = [[(0, 4.0), (10, 2.0)], [(5, 6.0), (9, 2.0), (20, 1.0)]]
    steps, low, mean, _ = plots.seed_band(runs)
    assert steps.tolist() == [5, 9, 10]
    assert low[0] == pytest.approx(3.0)  # halfway from 4 to 2
    assert mean[0] == pytest.approx(4.5)
    assert plots.seed_band([[(0, 1.0)], [(5, 1.0)]]) is None
    assert plots.seed_band([]) is None


def drawn(monkeypatch, table, tmp_path):
    """The axes of the curves."""
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    assert plots.curves(table, tmp_path / "c.png")
    return figures[0].axes[0]


def test_one_line_for_each_row_and_a_band_only_for_several_seeds(tmp_path, monkeypatch):
    write(tmp_path, "a-0", 3.0)
    write(tmp_path, "a-1", 3.1, seed=1)
    write(tmp_path, "b-0", 3.2, model__skip=False)
    axes = drawn(monkeypatch, filled(tmp_path), tmp_path)
    assert [line.get_label() for line in axes.lines] == ["residual, no skip", "residual, skip"]
    assert len(axes.collections) == 1


def test_every_row_looks_different(tmp_path, monkeypatch):
    """Also without colours beyond those that colour-blind people tell apart."""
    assert max(len(table.rows) for table in CATALOGUE.tables.values()) <= 21
    looks = {(color, style) for style in plots.STYLES for color in plots.COLORS}
    assert len(looks) == 21
    for number, layers in enumerate((1, 2, 3, 6, 9, 12)):
        write(tmp_path, f"a-{number}", 3.0, model__layers=layers)
    lines = drawn(monkeypatch, filled(tmp_path, "table3"), tmp_path).lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 6


@pytest.mark.parametrize("text", ["", "step,val/bits_per_dim\nx,3\n", "\xff\x00", "step\n3\n"])
def test_damaged_curves_are_no_curves(tmp_path, text):
    (tmp_path / "metrics.csv").write_text(text, encoding="latin-1")
    assert plots.learning_curve(tmp_path, "val/bits_per_dim") == []


def test_the_backend_of_whoever_imports_this_stays():
    code = (
        "import matplotlib; matplotlib.use('svg');"
        "import pixelrnn.results.plots, sys;"
        "sys.exit(matplotlib.get_backend() != 'svg' or 'matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pictures_that_show_what_there_is_are_kept(tmp_path, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "table_plot", lambda table, path: drawn.append(path.touch()))
    monkeypatch.setattr(plots, "curves", lambda table, path: path.touch() is None)

    def pictures():
        before = len(drawn)
        assert main(["table", "table2"]) == 0
        assert ("table2-curves.png" in capsys.readouterr().out) == bool(list(runs.glob("a-*")))
        return len(drawn) - before

    runs = tmp_path / "runs"
    assert pictures() == 0  # nothing was run
    folder = write(runs, "a-0", 3.0)
    assert [pictures(), pictures()] == [1, 0]
    write(runs, "a-1", 3.1, seed=1)
    assert [pictures(), pictures()] == [1, 0]
    later = time.time() + 5
    os.utime(folder / "metrics.csv", (later, later))
    assert pictures() == 1
    (runs / "tables" / "table2.png").unlink()
    assert pictures() == 1
    shutil.rmtree(folder)
    shutil.rmtree(runs / "a-1")
    assert pictures() == 1  # what is drawn is there no more
