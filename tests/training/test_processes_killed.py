"""Several processes of one training: killed, interrupted, swept; and the table of all of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks import several_processes
from pixelrnn.results import membership
from tests.cli.commands import TINY, spawn

pytestmark = pytest.mark.slow
LONG = [
    *(word for word in TINY if not word.startswith("trainer.max_epochs")),
    "trainer.max_epochs=100000",
    "trainer.accelerator=cpu",
    "data.eval_batch_size=256",
    "callbacks.checkpoints.every_minutes=0.000001",
    "callbacks.early_stopping=null",
    "folder=run",
]


def wait_for_step(process, step):
    while several_processes.step_of(Path("run")) < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def by_torchrun(*words):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*torchrun, f"--master-port={port}", "-m", "pixelrnn", *words, "trainer=ddp"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def ours(err):
    said = [line for line in err.splitlines() if line.startswith("pixelrnn: ")]
    return [line for line in said if "data.eval_batch_size=auto" not in line]


def assert_free():
    with FileLock("run/.lock", timeout=0):
        pass


def test_one_model_in_one_two_and_four_processes_and_killed_on_the_way(tmp_path):
    trainings = several_processes.compare("row_lstm", 24, tmp_path)
    one = trainings[0][1]
    for name, training in trainings:
        losses, weights = several_processes.distances(training, one)
        assert losses < 1e-5, name
        # AdamW divides a gradient by its own size: one that is nothing but rounding moves a weight
        # as far as any other. Seen: 2e-5. That no batch is lost or done twice, the losses show.
        assert weights < 2e-4, name
        assert training.metrics == pytest.approx(one.metrics, rel=1e-5)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_once_and_ends_all(number, code):
    process = spawn(*LONG, "trainer.devices=2")
    wait_for_step(process, 5)
    (worker,) = several_processes.children(process.pid)
    if number == signal.SIGTERM:
        process.terminate()  # the first process alone, as a supervisor does
    else:
        os.killpg(process.pid, number)  # all of them, as a terminal does
    _, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    (line,) = err.splitlines()
    assert "the same command goes on from step" in line
    assert not Path(f"/proc/{worker}").exists()
    step = int(line.rpartition(" ")[2])
    assert several_processes.step_of(Path("run")) == step
    assert_free()


def test_if_the_first_process_is_killed_the_others_end():
    process = spawn(*LONG, "trainer.devices=2")
    wait_for_step(process, 3)
    (worker,) = several_processes.children(process.pid)
    process.kill()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    _, err = process.communicate()
    assert [line for line in err.splitlines() if "was killed" in line] == err.splitlines()
    assert_free()


def test_under_torchrun_all_end_when_one_is_killed():
    process = by_torchrun(*LONG)
    wait_for_step(process, 3)
    workers = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, err = process.communicate(timeout=40)
    assert process.returncode != 0
    assert len(ours(err)) <= 1, err  # torchrun may end the other before it can say so
    assert "pixelrnn/training/" not in err, err  # no traceback of ours
    assert_free()
    again = spawn(*LONG, "trainer=ddp", "resume=must")
    wait_for_step(again, several_processes.step_of(Path("run")) + 2)
    again.terminate()
    _, err = again.communicate(timeout=60)
    assert again.returncode == 143
    assert "resuming from step" in err


def test_a_sweep_whose_jobs_start_processes():
    process = spawn("train", "-m", *TINY[1:], "seed=0,1", "trainer.devices=2")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "2 jobs: 2 finished" in err
    found = [json.loads(path.read_text()) for path in Path("runs").glob("*/results.json")]
    assert sorted(record["seed"] for record in found) == [0, 1]
    (folder,) = Path("runs/.sweep").glob("*/*")
    assert {note.state for note in membership.read(folder)} == {"finished"}
