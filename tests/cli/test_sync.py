"""`pixelrnn sync`: what arrives at a W&B server, row by row."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from pixelrnn.cli.main import main
from pixelrnn.runs import record
from pixelrnn.training.saving import RunCheckpoints
from tests.cli.test_odd_names import ODD
from tests.cli.test_tracking import WITH_WANDB
from tests.cli.wandb_server import Run, serving

pytestmark = pytest.mark.filterwarnings("ignore")
WORDS = [*WITH_WANDB, "trainer.max_epochs=2"]
STOPPED_AT = 15


@pytest.fixture
def server(monkeypatch, tmp_path):
    with serving() as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(tmp_path))
        yield found


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    """The folder of a finished run."""
    run = tmp_path_factory.mktemp("stored") / "finished"
    assert main([*WORDS, f"folder={run}"]) == 0
    return run


@pytest.fixture(scope="module")
def interrupted_once(tmp_path_factory):
    """The folder of a run that was interrupted in its second epoch."""
    run = tmp_path_factory.mktemp("stored") / "half"
    start = RunCheckpoints.on_train_batch_start

    def interrupt(self, trainer, *more):
        if trainer.global_step == STOPPED_AT:
            os.kill(os.getpid(), signal.SIGINT)
        start(self, trainer, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunCheckpoints, "on_train_batch_start", interrupt)
        assert main([*WORDS, f"folder={run}"]) == 130
    return run


@pytest.fixture
def finished(finished_once):
    return shutil.copytree(finished_once, Path(f"runs/{ODD}"), symlinks=True)


@pytest.fixture
def half(interrupted_once):
    return shutil.copytree(interrupted_once, Path("runs/half"), symlinks=True)


def killed(run):
    """As a kill leaves it: W&B's file has no end, and holds less than metrics.csv."""
    (file,) = run.glob("wandb/offline-run-*/*.wandb")
    file.write_bytes(file.read_bytes()[:9000])


def curves(run):
    with open(Path(run) / "metrics.csv", newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if value and name != "step"}
            | {"trainer/global_step": float(row["step"])}
            for row in csv.DictReader(file)
        ]


def arrived(server):
    (run,) = server.runs.values()
    rows = [row for row in run.history if "samples" not in row]
    return run, [{k: float(v) for k, v in row.items() if k[0] != "_"} for row in rows]


def assert_whole(server, folder):
    """Every row of metrics.csv arrived, once and in order, and so did the pictures."""
    run, rows = arrived(server)
    expected = curves(folder)
    for row in (*rows, *expected):  # rows that were computed twice differ in how long it took
        row.pop("train/images_per_second", None)
    assert rows == [pytest.approx(row) for row in expected]
    assert [row["_step"] for row in run.history] == list(range(len(run.history)))
    validated = sum("val/nll" in row for row in expected)
    pictures = [row for row in run.history if "samples" in row]
    assert len(pictures) == validated
    assert sum(name.startswith("media/images/samples") for name in run.uploaded) == validated
    return run


@pytest.mark.slow
def test_a_finished_run_is_sent_once(finished, server, capsys):
    assert main(["sync"]) == 0
    assert capsys.readouterr().out == f"runs/{ODD}: sent\n"
    run = assert_whole(server, finished)
    assert run.exit_code == 0
    assert record.results(finished)["metrics"].items() <= run.summary.items()
    requests = run.requests
    assert main(["sync", f"run=runs/{ODD}"]) == 0
    assert capsys.readouterr().out == f"runs/{ODD}: was sent before\n"
    assert run.requests == requests


@pytest.mark.long
def test_a_killed_run_that_never_went_on_is_sent_to_its_last_row(half, server, capsys):
    """Its configuration has no say in what is called, or in where it is sent."""
    killed(half)
    config = record.config(half)
    config["logger"]["wandb"] |= {"_target_": "os.system", "offline": False, "command": "false"}
    config["logger"]["wandb"]["settings"] = {"base_url": "http://127.0.0.1:9"}
    (half / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["sync", f"run={half}"]) == 0
    run = assert_whole(server, half)
    assert run.exit_code == 1
    assert len(curves(half)) > 7
    assert len(list(half.glob("wandb/earlier/*/*.wandb"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("first_sent", [True, False])
def test_a_run_that_went_on_arrives_as_one(half, server, first_sent):
    """Also if its first half was sent before: what comes then begins where that ended."""
    if first_sent:
        assert main(["sync"]) == 0
        assert_whole(server, half)
    else:
        killed(half)
    assert main([*WORDS, f"folder={half}"]) == 0
    assert main(["sync"]) == 0
    run = assert_whole(server, half)
    assert run.exit_code == 0
    assert len(curves(half)) > STOPPED_AT


@pytest.mark.slow
def test_a_figure_that_was_added_comes_after_the_curves(finished, server):
    assert main(["figure", "softmax", f"run={finished}", "wandb=true"]) == 0
    assert main(["sync"]) == 0
    (run,) = server.runs.values()
    added = [row for row in run.history if "figures/softmax" in row]
    assert added == run.history[-1:]
    assert any(name.startswith("media/images/figures/softmax") for name in run.uploaded)
    run.lines["wandb-history.jsonl"].popitem()
    assert_whole(server, finished)


def test_a_run_that_is_being_trained_is_left_alone(half, server, capsys):
    with FileLock(half / ".lock", is_singleton=False):
        assert main(["sync"]) == 0
        assert "no runs with W&B files" in capsys.readouterr().out
        assert main(["sync", str(half)]) == 2
        assert "another process is training this run" in capsys.readouterr().err
    assert not server.runs


@pytest.mark.slow
def test_what_cannot_be_sent_is_one_line(half, server, capsys, monkeypatch):
    server.refuses = 403
    assert main(["sync"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("pixelrnn: runs/half: not sent; W&B: ")
    assert "permission denied" in line
    monkeypatch.delenv("WANDB_API_KEY")
    assert main(["sync"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "No API key configured. Use `wandb login` to log in." in line
    server.refuses = None
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert main(["sync"]) == 0
    assert_whole(server, half)


def test_what_has_no_files_of_wandb_is_said(trained, capsys):
    assert main(["sync"]) == 0
    assert capsys.readouterr().out == "runs: no runs with W&B files\n"
    assert main(["sync", str(trained)]) == 2
    assert "was trained without W&B (logger.wandb is null)" in capsys.readouterr().err
    assert main(["sync", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


KILLED = """
import os, signal, sys, time
from pixelrnn.cli.main import main
from pixelrnn.training.saving import RunCheckpoints
start = RunCheckpoints.on_train_batch_start

def kill(self, trainer, *more):
    if trainer.global_step == 16:
        while not os.path.exists("arrived"):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    start(self, trainer, *more)

RunCheckpoints.on_train_batch_start = kill
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_run_that_is_killed_online_arrives_as_one(server, monkeypatch):
    """Its rows after the last checkpoint are computed again, and not sent again.

    Nor is a picture whose row has arrived: so the kill waits for the first picture, which W&B sends
    apart from its row.
    """
    monkeypatch.delenv("WANDB_MODE")
    command = [*WORDS, "logger.wandb.offline=false", "folder=run"]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *command], env=os.environ)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        run = run_of(server)
        logged = any(row.get("trainer/global_step", 0) > 11 for row in run.history)
        if logged and any(name.startswith("media/") for name in run.uploaded):
            Path("arrived").touch()
        time.sleep(0.1)
    assert process.wait() == -signal.SIGKILL
    before = len(run_of(server).history)
    again = subprocess.run([sys.executable, "-m", "pixelrnn", *command], env=os.environ)
    assert again.returncode == 0
    assert len(curves("run")) + 2 > before > 14
    assert assert_whole(server, "run").exit_code == 0


def run_of(server):
    return next(iter(server.runs.values()), Run("none yet"))
