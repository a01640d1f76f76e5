"""Sweeps that are killed again and again end as if nothing had happened, to the last bit."""

import contextlib
import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from pixelrnn.results import membership
from tests.cli.commands import TWELVE, kill, needed, results, spawn, table

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results and table of a sweep that nobody kills."""
    root = tmp_path_factory.mktemp("undisturbed") / "runs"
    process = spawn(*TWELVE, f"paths.runs={root}")
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    assert "multirun: 12 jobs: 12 finished" in err
    return results(root), table(root)


def written():
    """When a checkpoint was last written."""
    times = [path.stat().st_mtime_ns for path in Path("runs").glob("*/checkpoints/last.ckpt")]
    return max(times, default=0)


def kill_after_work(process, seconds):
    """-9 some time after a job has gone on; returns how many jobs are half done then."""
    before, deadline = written(), time.monotonic() + 200
    while written() == before:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(seconds)
    assert process.poll() is None, process.communicate()[1]
    kill(process)
    checkpoints = Path("runs").glob("*/checkpoints/last.ckpt")
    return sum(not (path.parents[1] / "results.json").is_file() for path in checkpoints)


@pytest.mark.parametrize(
    ("launcher", "package"),
    [("basic", None), ("local_submitit", "submitit"), ("local_ray", "ray")],
)
def test_killed_five_times_equals_undisturbed(launcher, package, undisturbed):
    if package:
        needed(package)
    command = [*TWELVE, f"hydra/launcher={launcher}", "hydra.sweeper.max_batch_size=4"]
    draw = random.Random(5)
    half_done = [kill_after_work(spawn(*command), draw.uniform(0, 4)) for _ in range(5)]
    done = len(results())
    assert done < 12
    process = spawn(*command)
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    (summary,) = re.findall(r"multirun: .*", err)
    print(f"{launcher}: half done when killed: {half_done}; {summary}")
    assert summary.startswith("multirun: 12 jobs: ")
    assert "failed" not in summary
    notes = membership.read(max(Path("runs/.sweep/table4").iterdir()))
    assert sum(note.state == "skipped" for note in notes) >= done
    assert (results(), table(Path("runs").absolute())) == undisturbed


@pytest.fixture
def whole_group():
    """Spawns a command; what is left of its process group ends with the test."""
    started = []

    def spawned(*words):
        started.append(spawn(*words))
        return started[-1]

    yield spawned
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_jobs_outlive_a_launcher_that_alone_is_killed(whole_group):
    needed("submitit")
    command = [*TWELVE, "seed=0", "trainer.max_epochs=40", "hydra/launcher=local_submitit"]
    launcher = whole_group(*command)
    deadline = time.monotonic() + 300
    while len(list(Path("runs").glob("*/checkpoints/last.ckpt"))) < 4:
        assert launcher.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    launcher.kill()
    assert not results()

    again = spawn(*command)
    _, err = again.communicate(timeout=200)
    assert again.returncode == 1, err
    assert err.count("another process is training this run") == 4, err

    while len(results()) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    launcher.communicate(timeout=60)  # to the end of the last job that holds its output
    last = spawn(*command)
    _, err = last.communicate(timeout=200)
    assert last.returncode == 0, err
    assert "multirun: 4 jobs: 4 skipped" in err
