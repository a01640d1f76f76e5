"""Every file, script and command of docs/power-users.md works as it is printed there."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from pixelrnn.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
PAGE = Path(__file__).parents[2] / "docs" / "power-users.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
FILES = {
    match[1]: text
    for kind, text in BLOCKS
    if kind in ("yaml", "python") and (match := re.search(r"^# (\S+\.(?:yaml|py))$", text, re.M))
}
COMMANDS = [
    line.removeprefix("$ pixelrnn ")
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
]
MADE_BEFORE = "train --config-dir my experiment=tiny model=linear folder=runs/linear"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """The files of the page, in a folder where Python finds them."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_parts", None)


def run(command):
    assert main(shlex.split(command)) == 0


def test_the_page_has_what_it_promises():
    assert {"my/experiment/tiny.yaml", "my_parts.py", "by_words.py", "by_hand.py"} <= set(FILES)
    assert len(COMMANDS) > 15


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works(command, capfd):
    if "run=runs/linear" in command:
        run(MADE_BEFORE)
    run(command)
    out = capfd.readouterr().out
    if "Stopwatch" in command:
        assert "trained for" in out
    if command.startswith("sample"):
        assert np.load("linear.npy").shape == (4, 1, 8, 8)
    if "seed=1" in command:
        assert list(Path("runs").glob("digits-pixelcnn-*/results.json"))


@pytest.mark.parametrize(
    ("script", "says"), [("by_words.py", r"^\d\.\d+$"), ("by_hand.py", r"torch.Size\(\[2, 1, 8, 8")]
)
def test_a_script_works(script, says, capfd):
    runpy.run_path(script)
    assert re.search(says, capfd.readouterr().out, re.M)


def test_own_choices_are_offered(capfd):
    assert main(["train", "--config-dir", "my", "experiment=tny"]) == 2
    assert "did you mean experiment=tiny" in capfd.readouterr().err
    assert main(["train", "-m", "--config-dir", "my", "model=linaer,pixelcnn"]) == 2
    assert "did you mean model=linear" in capfd.readouterr().err
