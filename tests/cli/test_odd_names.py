"""Folders whose names need care, in every verb: spaces, =, commas, quotes, brackets, unicode."""

import io
import shutil
import sys

import numpy as np
import pytest

from pixelrnn.cli.main import VERBS, main
from pixelrnn.runs import record
from tests.cli.commands import TINY

pytestmark = pytest.mark.filterwarnings("ignore")
ODD = "a b=c,d 'e' \"f\" größe💥 [g]{h} $i (k) #l ~m %n \\o"


@pytest.fixture
def odd(trained, tmp_path):
    """A folder of an odd name with a run inside."""
    shutil.copytree(trained, tmp_path / ODD / "run")
    return tmp_path / ODD


def commands(odd):
    run = f"run={odd / 'run'}"
    np.save(odd / "images.npy", np.zeros((2, 1, 8, 8), np.uint8))
    coded = odd / "images.prnn"
    return {
        "evaluate": [run, "split=val"],
        "sample": [run, "n=2", f"out={odd / 'samples'}"],
        "complete": [run, "n=1", "draws=1", f"out={odd / 'completed'}"],
        "compress": [run, f"in={odd / 'images.npy'}", f"out={coded}"],
        "decompress": [run, f"in={coded}", f"out={odd / 'back.npy'}"],
        "audit": [run, "n=2"],
        "runs": [f"paths.runs={odd}"],
        "sync": [f"paths.runs={odd}"],
        "figure": ["softmax", run, f"out={odd / 'figure.png'}"],
        "data": ["digits", f"paths.data={odd}"],
        "table": ["table4", "scale=small", "plots=false", f"paths.runs={odd}"],
    }


MADE = ("samples.png", "samples.npy", "completed.png", "images.prnn", "back.npy")


@pytest.mark.long
def test_every_verb_takes_an_odd_name(odd, capfd):
    for verb, words in commands(odd).items():
        code = main([verb, *words])
        out, err = capfd.readouterr()
        assert code == 0, (verb, out, err)
        assert "Traceback" not in err
    assert all((odd / name).exists() for name in MADE)
    assert np.array_equal(np.load(odd / "back.npy"), np.load(odd / "images.npy"))


def test_no_verb_is_left_out(odd):
    needs_more = {"train", "plan", "dashboard", "doctor"}  # below; an account; no files
    assert set(VERBS) - needs_more <= set(commands(odd))


def test_a_run_is_trained_and_found_again_in_an_odd_folder(tmp_path, capfd):
    folder = tmp_path / ODD / "here"
    words = [*TINY, "evaluate=[val]", "trainer.limit_train_batches=1"]
    assert main([*words, f"folder={folder}"]) == 0
    assert record.config(folder)["folder"] == str(folder)
    assert main([*words, f"folder={folder}"]) == 0
    assert "finished before" in capfd.readouterr().out
    assert main(["plan", *words[1:], f"folder={folder}"]) == 0
    assert "finished" in capfd.readouterr().out
    assert main(["train", f"run={folder}"]) == 0
    assert "finished before" in capfd.readouterr().out
    runs = tmp_path / ODD / "runs"
    assert main([*words, f"paths.runs={runs}"]) == 0
    assert len(list(runs.glob("*/results.json"))) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "iso8859-9"])
def test_what_a_terminal_cannot_show_is_no_error(trained, encoding, monkeypatch):
    """As with LC_ALL=C where Python does not turn to UTF-8, or with the Turkish LC_ALL=tr_TR."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert main(["evaluate", f"run={trained}", "split=val"]) == 0
    assert main(["evaluate", "run=größe💥/x"]) == 2
    for stream in streams:
        stream.flush()
    assert b"val" in streams[0].buffer.getvalue()
    assert b"pixelrnn: gr" in streams[1].buffer.getvalue()
