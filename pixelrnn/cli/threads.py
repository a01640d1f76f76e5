"""Each job's share of the machine, read from Hydra's launcher."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from pixelrnn import threads

SHARES = ("cpus_per_task", "ray.remote.num_cpus")
"""Where launchers keep the cores of one job."""


def share(devices: Any = 1) -> int | None:
    """Threads of each process of a job; None, as many as are sensible, where jobs take turns.

    Args:
        devices: trainer.devices; the processes that a job starts itself share its cores.
    """
    if not HydraConfig.initialized():
        return None
    launcher = HydraConfig.get().launcher
    processes = devices if isinstance(devices, int) and devices > 0 else 1
    if launcher.get("tasks_per_node", 1) > 1:  # the launcher starts them, each on its own cores
        processes = 1
    for key in SHARES:
        cores = OmegaConf.select(launcher, key)
        if cores:
            return max(1, threads.allowed(int(cores)) // processes)
    jobs = launcher.get("n_jobs", 1)
    if jobs == 1:
        return None
    return max(1, threads.cores() // jobs // processes) if jobs > 0 else 1
