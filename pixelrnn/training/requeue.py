"""A job of SLURM asks to be queued again before its time is over; one owner does the asking.

`sbatch --signal=USR1@90 ...` announces the end of the time. Where submitit started the job, it has
a handler of its own, and queues the job again. Elsewhere it is done here, after the state is saved.
Lightning would do it too, and write a checkpoint that nobody reads: it is not let (`devices`).
"""

import os
import re
import signal
import subprocess
from types import FrameType

from pixelrnn import ranks
from pixelrnn.training import process

SIGNAL = getattr(signal, "SIGUSR1", None)
"""What announces the end; None on systems without it."""


def is_ours() -> bool:
    """Whether this process is in a job of SLURM that nobody else queues again."""
    return "SLURM_JOB_ID" in os.environ and "SUBMITIT_EXECUTOR" not in os.environ


def ask(number: int, frame: FrameType | None) -> bool:
    """Let SLURM queue this job again; the first process of the run does it.

    SLURM ends the job then, by SIGTERM. If it refuses, that is said, and the work goes on.

    Returns:
        Whether SLURM does; it need not be asked again then.
    """
    if not ranks.is_first():
        return True
    job = os.environ["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    if not re.fullmatch(r"\d+(_\d+)?", job):
        process.say(f"SLURM calls this job {job}, which is no number: it is not queued again")
        return False
    try:
        command = ["scontrol", "requeue", job]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        reason = (done.stderr or done.stdout).strip() if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    if reason is None:
        process.say(f"SLURM queues job {job} again; it goes on from here")
    else:
        process.say(f"SLURM does not queue job {job} again ({reason}); the work goes on")
    return reason is None
