"""What a run prints at its end is whole on a terminal of any width."""

import io
import re

import pytest
from rich.console import Console

from pixelrnn.cli import report

METRICS = {
    f"{split}/{name}": value
    for split in ("val", "test")
    for name, value in (
        ("images", 10000),
        ("bits_per_dim", 3.0712),
        ("bits_per_dim_stderr", 0.0123),
        ("nll", 6539.58),
        ("nll_stderr", 26.19),
    )
}


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_number_is_cut(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width)
    report.likelihoods(console, METRICS, "cifar10-row_lstm (done)")
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert "cifar10-row_lstm (done)" in text
    numbers = text.split()
    for whole in ("3.0712", "0.0123", "6539.58", "26.19", "val", "test"):
        assert whole in numbers
    assert ("10000" in numbers) or "no room for images" in text


def test_each_number_stands_in_its_own_column():
    out = io.StringIO()
    report.likelihoods(Console(file=out, width=200), METRICS | {"val/images": 17}, "title")
    _, head, *rows = [line for line in out.getvalue().splitlines() if set(line) & set("splitva")]
    assert head.split() == ["split", "images", "bits/dim", "nats/image"]
    told = "3.0712 ± 0.0123 6539.58 ± 26.19"
    assert [" ".join(row.split()) for row in rows] == [f"val 17 {told}", f"test 10000 {told}"]
