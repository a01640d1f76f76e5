"""Progress: a bar on a terminal, plain lines elsewhere, nothing for what is done at once."""

import io

from pixelrnn.data import progress as room
from pixelrnn.data.progress import progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _work(file, monkeypatch, interval):
    monkeypatch.setattr(room, "INTERVAL", interval)
    with progress(5000, "fetch x.tar", file=file) as bar:
        bar.delay = min(bar.delay, interval)
        for _ in range(5):
            bar.update(1000)
    return file.getvalue()


def test_no_carriage_return_where_there_is_no_terminal(monkeypatch):
    text = _work(io.StringIO(), monkeypatch, 0.0)
    assert "\r" not in text
    assert "\x1b" not in text
    lines = text.splitlines()
    assert len(lines) >= 5
    assert all(line.startswith("fetch x.tar: ") for line in lines)
    assert "100%" in lines[-1]


def test_lines_come_now_and_then(monkeypatch):
    assert _work(io.StringIO(), monkeypatch, 30.0) == ""


def test_a_bar_on_a_terminal(monkeypatch):
    text = _work(_Terminal(), monkeypatch, 0.0)
    assert "\r" in text
    assert "fetch x.tar" in text
