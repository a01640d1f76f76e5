"""The folder of a run: what a killed process left half written is removed by the next one."""

import os
import subprocess
import sys

from pixelrnn import atomic
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
