"""A sweep on a real SLURM: jobs put back into the queue go on, and the results are the same."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.cli.commands import TWELVE, results, spawn, table

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parent / "start.sh"
CANNOT = next(
    (
        f"no {program}: needs root and Debian's slurm-wlm and munge"
        for program in ("slurmctld", "slurmd", "munged", "sbatch")
        if shutil.which(program) is None
    ),
    None if os.geteuid() == 0 else "only root can start SLURM",
)


@pytest.fixture
def slurm():
    """Its configuration file, while it runs."""
    if CANNOT:
        pytest.skip(CANNOT)
    pytest.importorskip("submitit", reason="extra slurm missing")
    folder = tempfile.mkdtemp(prefix="pixelrnn-slurm-")
    started = subprocess.run([SCRIPT, folder], capture_output=True, text=True, timeout=60)
    try:
        if started.returncode:
            pytest.skip(f"SLURM does not start here: {started.stderr[-300:]}")
        yield f"{folder}/slurm.conf"
    finally:
        subprocess.run([SCRIPT, "stop", folder], timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def asked(conf, *command):
    environment = os.environ | {"SLURM_CONF": conf}
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout


def running(conf):
    listed = asked(conf, "squeue", "--noheader", "--states=R", "--array", "--format=%i %M")
    return dict(line.split() for line in listed.splitlines())


def notes():
    """What became of the jobs so far, by number."""
    return {
        path.stem: json.loads(path.read_text()) for path in Path("runs/.sweep").glob("*/*/*.json")
    }


def half_done(job):
    """Whether the run of an array's task `id_n` has a checkpoint and no result."""
    run = notes().get(job.partition("_")[2], {}).get("run")
    return (
        run
        and Path("runs", run, "checkpoints/last.ckpt").is_file()
        and not Path("runs", run, "results.json").is_file()
    )


def test_requeued_jobs_go_on(slurm):
    sweep = [word for word in TWELVE if not word.startswith("threads=")]
    settings = ["partition=debug", "cpus_per_task=1", "mem_gb=0", "array_parallelism=2"]
    command = [*sweep, "hydra/launcher=slurm", *(f"hydra.launcher.{word}" for word in settings)]
    process = spawn(*command, SLURM_CONF=slurm)
    requeued = set()
    deadline = time.monotonic() + 300
    while process.poll() is None and len(requeued) < 2 and time.monotonic() < deadline:
        for job in sorted(running(slurm)):
            if half_done(job) and job not in requeued:
                asked(slurm, "scontrol", "requeue", job)
                requeued.add(job)
                break
        time.sleep(0.2)
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    assert len(requeued) == 2
    assert {notes()[job.partition("_")[2]]["state"] for job in requeued} == {"resumed"}
    (summary,) = re.findall("multirun: .*", err)
    print(sorted(requeued), summary)
    assert summary.startswith("multirun: 12 jobs: ")
    disturbed = results(), table("runs")
    shutil.move("runs", "disturbed")
    undisturbed = spawn(*TWELVE)
    undisturbed.communicate(timeout=900)
    assert (results(), table("runs")) == disturbed
