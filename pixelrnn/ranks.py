"""Which of several processes this is, as whoever started them says in the environment.

torchrun, Kubernetes and our own launcher set RANK, WORLD_SIZE and MASTER_ADDR; srun sets SLURM's
own variables. Torch is not imported here: a wrong word is refused once, before that.
"""

import os
from dataclasses import dataclass

STARTED_BY_US = "PIXELRNN_PROCESSES"
"""Set by our own launcher, in the first process and in those that it starts."""


@dataclass(frozen=True)
class Place:
    """The place of this process among those that train together.

    Attributes:
        starter: who started the processes, for messages.
        rank: number of this process, from 0.
        size: number of processes.
        local_rank: number of this process among those of its machine, from 0.
        local_size: number of processes on this machine.
    """

    starter: str
    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def machines(self) -> int:
        """Number of machines, where each has as many processes as this one."""
        return max(1, self.size // self.local_size)


def place() -> Place | None:
    """The place of this process; None if it was started alone."""
    if all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")):
        starter = "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "the environment"
        return Place(
            "trainer.devices" if STARTED_BY_US in os.environ else starter,
            _number("RANK"),
            _number("WORLD_SIZE"),
            _number("LOCAL_RANK"),
            max(1, _number("LOCAL_WORLD_SIZE", 1)),
        )
    tasks = _number("SLURM_STEP_NUM_TASKS", 1)  # set by srun alone, not by sbatch
    if tasks > 1:
        machines = max(1, _number("SLURM_STEP_NUM_NODES", 1))
        return Place(
            "srun", _number("SLURM_PROCID"), tasks, _number("SLURM_LOCALID"), tasks // machines
        )
    return None


def is_first() -> bool:
    """Whether this process is the one that writes, draws, reports and holds the lock."""
    here = place()
    return here is None or here.rank == 0


def _number(name: str, default: int = 0) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
