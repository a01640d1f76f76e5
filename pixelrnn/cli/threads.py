"""Each job's share of the machine, read from Hydra's launcher."""

import os

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

SHARES = ("cpus_per_task", "ray.remote.num_cpus")
"""Where launchers keep the cores of one job."""


def share() -> int | None:
    """Threads of one job; None, all cores, where jobs run one after another."""
    if not HydraConfig.initialized():
        return None
    launcher = HydraConfig.get().launcher
    for key in SHARES:
        cores = OmegaConf.select(launcher, key)
        if cores:
            return max(1, int(cores))
    jobs = launcher.get("n_jobs", 1)
    if jobs == 1:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, cores // jobs) if jobs > 0 else 1
