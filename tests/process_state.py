"""What a run that is started from Python must leave in the process as it was."""

import logging
import os
import random
import signal
import sys
import warnings
from typing import Any

import numpy as np
import torch
import wandb
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

LOGS = ("", "hydra", "pytorch_lightning")


def state_of_the_process() -> dict[str, Any]:
    """Everything process-wide that a training could change, by name; two states are compared."""
    return {
        "argv": list(sys.argv),
        "environment": dict(os.environ),
        "threads": torch.get_num_threads(),
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "logs": [(log.level, list(log.handlers)) for log in map(logging.getLogger, LOGS)],
        "hydra": (GlobalHydra.instance().hydra, HydraConfig.instance().cfg),
        "wandb": wandb.run,
        "python": random.getstate()[1][:3],
        "numpy": tuple(np.random.get_state()[1][:3]),
        "torch": torch.get_rng_state().tolist(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "folder": os.getcwd(),
    }
