"""The folder of a run: whose it is, and what a killed process leaves half written in it."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from pixelrnn import atomic
from pixelrnn.errors import RunError
from pixelrnn.training import run_folder


def test_leftovers_are_swept_and_nothing_else(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "samples").mkdir()
    kept = [run / "config.yaml", run / "checkpoints" / "last.ckpt", run / ".mine.tmp"]
    kept += [run / "samples" / f".x.png.{atomic.host()}.{os.getpid()}.00000000.tmp"]
    left = [
        run / f".metrics.csv.{atomic.host()}.{os.getpid()}.0123abcd.tmp",  # a container's process 1
        run / "checkpoints" / ".last.ckpt.elsewhere.7.0123abcd.tmp",
        run / "samples" / f".x.png.{atomic.host()}.{gone.pid}.0123abcd.tmp",
    ]
    for path in kept + left:
        path.write_bytes(b"half")
    with run_folder.held(run):
        assert all(path.exists() for path in kept)
        assert not any(path.exists() for path in left)


def record(signature, config):
    numbers = {"seed": 0, "steps": 1, "parameters": 1, "training_seconds": 1.0}
    return {"metrics": {"val/nll": 1.0}, "signature": signature, "config": config, **numbers}


@pytest.mark.parametrize("stored", ["aaaaaaaa", None], ids=["config.yaml", "no config.yaml"])
def test_a_record_of_another_configuration_is_refused(tmp_path, stored):
    run = tmp_path / "run"
    run.mkdir()
    asked = {"folder": str(run), "signature": "aaaaaaaa", "seed": 1}
    if stored:
        (run / "config.yaml").write_text(yaml.safe_dump(asked))
    cases = {
        "it differs in seed": {"folder": str(run), "signature": "bbbbbbbb", "seed": 2},
        "it has the signature bbbbbbbb, not aaaaaaaa": None,
    }
    for says, config in cases.items():
        (run / "results.json").write_text(json.dumps(record("bbbbbbbb", config)))
        with pytest.raises(RunError, match=says):
            run_folder.stored_record(asked)
    own = record("aaaaaaaa", asked)
    (run / "results.json").write_text(json.dumps(own))
    assert run_folder.stored_record(asked) == own
