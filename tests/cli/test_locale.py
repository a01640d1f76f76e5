"""A Turkish locale: a small i without dot, a comma in numbers; nothing of a run depends on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import TINY

pytestmark = pytest.mark.slow
SET = """
import locale, sys
assert locale.setlocale(locale.LC_ALL, "") == "tr_TR.UTF-8"
assert locale.format_string("%.1f", 1.5) == "1,5"
from pixelrnn.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def turkish(tmp_path):
    """The environment of someone in Turkey, with the locale made for the test."""
    folder = tmp_path / "locales"
    folder.mkdir()
    if shutil.which("localedef") is None:
        pytest.skip("no localedef")
    command = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(folder / "tr_TR.UTF-8")]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the locale cannot be made here: {made.stderr.strip()[-200:]}")
    return os.environ | {"LOCPATH": str(folder), "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}


def test_a_run_its_table_and_its_samples_are_the_same(turkish):
    def pixelrnn(environment, *words, program=SET):
        command = [sys.executable, "-c", program, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plain = SET.replace("assert", "#")
    pixelrnn(turkish, *TINY, "folder=runs/I", "label=I\u0130\u0131i")
    pixelrnn(os.environ, *TINY, "folder=plain/I", "label=I\u0130\u0131i", program=plain)
    roots = ("runs", "plain")
    ours, theirs = (json.loads(Path(root, "I/results.json").read_text()) for root in roots)
    for key in ("metrics", "signature", "label", "parameters"):
        assert ours[key] == theirs[key]
    lines = [Path(root, "I/metrics.csv").read_text().splitlines() for root in roots]
    assert lines[0][0] == lines[1][0]
    assert len(lines[0]) == len(lines[1])
    for words in (
        ["runs", "by=val/bits_per_dim", "format=csv"],
        ["evaluate", "run=runs/I", "split=val"],
    ):
        told = pixelrnn(turkish, *words)
        assert f"{ours['metrics']['val/bits_per_dim']:.4f}"[:6] in told
    pixelrnn(turkish, "sample", "run=runs/I", "n=4", "out=turkish")
    pixelrnn(os.environ, "sample", "run=runs/I", "n=4", "out=other", program=plain)
    assert Path("turkish.npy").read_bytes() == Path("other.npy").read_bytes()
