"""Each job's share of the machine, read from Hydra's launcher."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from pixelrnn import threads

SHARES = ("cpus_per_task", "ray.remote.num_cpus")
"""Where launchers keep the cores of one job."""


def share() -> int | None:
    """Threads of one job; None, as many as are sensible, where jobs run one after another."""
    if not HydraConfig.initialized():
        return None
    launcher = HydraConfig.get().launcher
    for key in SHARES:
        cores = OmegaConf.select(launcher, key)
        if cores:
            return threads.allowed(int(cores))
    jobs = launcher.get("n_jobs", 1)
    if jobs == 1:
        return None
    return max(1, threads.cores() // jobs) if jobs > 0 else 1
