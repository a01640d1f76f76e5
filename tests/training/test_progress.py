"""Progress: nothing is cut at any width, both times are shown, and the time left is right."""

import io
import re

import pytest
from rich.console import Console

from pixelrnn.training import progress
from pixelrnn.training.progress import TrainingProgress, fitted
from tests.training.runs import At, fit

pytestmark = pytest.mark.filterwarnings("ignore")
LONG = {
    "step": "step 123456/1234567",
    "train": "train 3.512",
    "val": "val 3.601",
    "unit": "bits/dim",
    "rate": "51234 images/s",
    "times": "101:12:10, 1103:02:12 left",
}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_a_line_fits_and_shows_step_and_both_times(width):
    line = fitted(LONG, 0.1, width)
    assert len(line) <= width
    assert LONG["step"] in line
    assert LONG["times"] in line
    for name, text in LONG.items():  # what is shown is whole
        assert text in line or (name in ("rate", "train", "val") and text.split()[0] not in line)


def test_what_is_left_out_at_eighty_columns():
    assert "images/s" not in fitted(LONG, 0.1, 80)
    assert "val 3.601  bits/dim" in fitted(LONG, 0.1, 80)
    line = fitted(LONG, 0.5, 200)
    assert abs(line.count("━") - line.count("╌")) <= 1


class Clock:
    """A clock that goes on by a second at each look."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 1
        return self.now


def watched(tmp_path, monkeypatch, *, terminal, **options):
    out = io.StringIO()
    bar = TrainingProgress(every_s=1)
    bar._console = Console(file=out, force_terminal=terminal, width=80)
    monkeypatch.setattr(progress.time, "monotonic", Clock().monotonic)
    fit(tmp_path, bar, max_epochs=1, **options)
    return bar, out.getvalue()


def test_without_a_terminal_there_are_lines(tmp_path, monkeypatch):
    _, text = watched(tmp_path, monkeypatch, terminal=False)
    lines = text.strip().splitlines()
    assert all(re.match(r"step \d/6  ", line) for line in lines)
    assert re.search(r"step 6/6  train \d\.\d{3}  val \d\.\d{3}  bits/dim .* 0:00:00 left", text)
    assert "\r" not in text


def test_in_a_terminal_there_is_one_line_and_the_cursor_comes_back(tmp_path, monkeypatch):
    bar, text = watched(tmp_path, monkeypatch, terminal=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    last = plain.strip().splitlines()[-1]
    assert "step 6/6" in last
    assert "0:00:00 left" in last
    assert len(last) <= 80
    assert "\x1b[?25h" in text
    assert bar._live is None


def test_the_cursor_comes_back_after_an_error(tmp_path, monkeypatch):
    def fail():
        raise RuntimeError("stop")

    out = io.StringIO()
    bar = TrainingProgress()
    bar._console = Console(file=out, force_terminal=True, width=80)
    with pytest.raises(RuntimeError, match="stop"):
        fit(tmp_path, bar, At("on_train_batch_end", 2, fail))
    assert "\x1b[?25h" in out.getvalue()


def test_time_left_counts_from_where_a_run_went_on(monkeypatch):
    """100 of 1000 steps were done before; 50 more took 10 s, so 850 take 170 s."""
    bar = TrainingProgress()
    bar._steps, bar._first_step, bar._step = 1000, 100, 150
    bar._started = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: 10.0)
    assert "0:00:10, 0:02:50 left" in bar.line(200)


def test_an_endless_training_shows_no_time_left(tmp_path, monkeypatch):
    bar = TrainingProgress()
    bar._step = 3
    assert "left" not in bar.line(200)
    assert "step 3  " in bar.line(200)


def test_other_processes_are_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingProgress, "__init__", _silent(TrainingProgress.__init__))
    _, text = watched(tmp_path, monkeypatch, terminal=False)
    assert text == ""


def _silent(init):
    def made(self, **settings):
        init(self, **settings)
        self.disable()

    return made
