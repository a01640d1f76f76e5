"""The commands and the script of docs/classes.md work as they are printed there."""

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from pixelrnn.cli.main import main
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
TEXT = (Path(__file__).parents[2] / "docs" / "classes.md").read_text(encoding="utf-8")


def test_the_page_from_its_first_command_to_its_last(capfd):
    commands = re.findall(r"^\$ pixelrnn (.*)$", TEXT, re.M)
    smaller = [word for word in TINY if word not in ("train", "model=pixelcnn")]
    assert len(commands) == 9
    for command in commands:
        words = shlex.split(command)
        assert main([*words, *(smaller if words[0] == "train" else [])]) == 0
    np.testing.assert_array_equal(np.load("again.npy"), np.load("some.npy"))
    assert np.load("again-labels.npy").tolist() == [3, 3, 7, 7]
    (script,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    Path("by_class.py").write_text(script)
    capfd.readouterr()
    runpy.run_path("by_class.py")
    assert "tensor([" in capfd.readouterr().out
