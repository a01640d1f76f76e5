"""Learning curves: seeds are one line, data sets have panels of their own, units are said."""

import subprocess
import sys

import numpy as np
import pytest

from pixelrnn.figures import curves
from pixelrnn.results import collect
from tests.results.runs import write


@pytest.fixture
def runs(tmp_path):
    write(tmp_path, "a-0", 3.0)
    write(tmp_path, "a-1", 3.2, seed=1)
    write(tmp_path, "b-0", 3.4, model__layers=4, steps=50)
    write(tmp_path, "c-0", 1.0, data___target_="pixelrnn.data.MNIST", label="mnist-row_lstm")
    return collect.scan(tmp_path)


def test_seeds_are_one_line_and_settings_have_one_each(runs):
    found = curves.lines(runs)
    assert [(line.data_set, line.seeds) for line in found] == [
        ("cifar10", 2),
        ("cifar10", 1),
        ("mnist", 1),
    ]
    assert "layers 12" in found[0].label
    assert "layers 4" in found[1].label
    assert "seed" not in found[0].label
    assert found[0].x.tolist() == [20, 100]  # steps that are done: the file counts from 0
    assert np.allclose([found[0].low, found[0].high], [[4.0, 3.0], [4.2, 3.2]])
    assert np.allclose(found[0].mean, [4.1, 3.1])


def test_a_label_tells_what_differs_among_runs_of_a_model(tmp_path):
    write(tmp_path, "a-0", 3.0)
    other = {"model___target_": "pixelrnn.models.PixelCNN", "label": "cifar10-pixelcnn"}
    write(tmp_path, "b-0", 3.0, **other, model__layers=4)
    write(tmp_path, "b-1", 3.0, **other, model__layers=4, trainer__max_epochs=7)
    labels = [line.label for line in curves.lines(collect.scan(tmp_path))]
    assert labels == ["row_lstm", "pixelcnn, max_epochs 100", "pixelcnn, max_epochs 7"]


def test_seconds_are_spread_over_the_steps(runs, tmp_path):
    found = curves.lines(runs, against="seconds")
    assert np.allclose(found[0].x, [12, 60])  # a minute for 100 steps
    assert np.allclose(found[1].x, [24, 120])
    (tmp_path / "b-0/results.json").unlink()
    assert len(curves.lines(collect.scan(tmp_path), against="seconds")) == 2
    assert len(curves.lines(collect.scan(tmp_path))) == 3


def test_other_curves_and_none(runs):
    (line,) = curves.lines(runs[:1], "train/nll")
    assert line.mean.tolist() == [5.0]
    assert curves.lines(runs, "val/no") == []
    assert curves.metrics(runs) == {"train/nll", "val/bits_per_dim"}


@pytest.mark.parametrize("style", ["light", "dark"])
def test_the_picture(runs, style):
    found = curves.lines(runs)
    drawn = curves.figure(found, name="mine", style=style)
    first, second = drawn.axes
    assert first.get_xlabel() == "step"
    assert first.get_ylabel() == "validation, bits/dim"
    assert [first.get_title(), second.get_title()] == ["cifar10", "mnist"]
    assert len(first.lines) == 2
    assert len(first.collections) == 1  # the band
    texts = [text.get_text() for text in first.get_legend().get_texts()]
    assert texts[0].endswith("(2 seeds): 3.1")
    seconds = curves.figure(curves.lines(runs, "train/nll", "seconds"), "train/nll", "seconds")
    assert seconds.axes[0].get_xlabel() == "seconds of training"
    assert seconds.axes[0].get_ylabel() == "training, nats per image"


def test_no_torch_is_needed():
    code = "import sys, pixelrnn.figures.curves; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
