"""What a training sets for the whole process, and puts back when it ends.

Listed here once: warning filters, the level of Lightning's log, environment variables, the number
of threads, the states of the random generators of Python, NumPy and torch, what Lightning sets in
torch for trainer.deterministic and trainer.benchmark, and that convolutions are in float32.
What cannot be put back is how the C library keeps freed memory (`native.memory`).
"""

import contextlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
import torch

from pixelrnn import ranks
from pixelrnn.native import memory
from pixelrnn.threads import cores

_HELP_NO_USER = (
    ".*does not have many workers.*",
    ".*exists and is not empty.*",
    ".*your dataloader is not resumable.*",
    ".*LeafSpec.*",
    ".*srun. command is available.*",
    ".*anonymous setting has no effect.*",
    ".*number of training batches.*smaller than the logging interval.*",
    ".*when logging on epoch level in distributed setting.*",
    ".*it is recommended to use .Trainer.devices=1, num_nodes=1...*",
)
"""Warnings of libraries about what is meant to be so."""

_ENVIRONMENT = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off"}


def is_writer() -> bool:
    """Whether this process is the one that writes, draws, reports and holds the lock."""
    return ranks.is_first()


def say(text: str) -> None:
    """Tell the user one line, on stderr, once for all processes."""
    if is_writer():
        print(f"pixelrnn: {text}", file=sys.stderr, flush=True)


def quieten() -> None:
    """Silence messages that help no user."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in _HELP_NO_USER:
        warnings.filterwarnings("ignore", message=message)


def set_up(threads: int | None) -> None:
    """Prepare a process that does one thing and ends, such as a verb of the command line.

    Args:
        threads: of torch on the CPU; None: `pixelrnn.threads.cores`.
    """
    quieten()
    memory.reuse_freed_memory()
    torch.backends.cudnn.allow_tf32 = False  # torch lets convolutions on a GPU round their inputs
    torch.set_num_threads(threads or cores())


@contextlib.contextmanager
def seeded(seed: int, threads: int | None) -> Iterator[None]:
    """Seed all random generators for a training, and put the process back as it was afterwards.

    Args:
        seed: of Python, NumPy and torch.
        threads: of torch on the CPU; None: one, until the caller knows better.
    """
    environment = dict(os.environ)
    log = logging.getLogger("pytorch_lightning")
    level, count = log.level, torch.get_num_threads()
    root = logging.getLogger().level
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    rounds = torch.backends.cudnn.allow_tf32
    try:
        with warnings.catch_warnings():
            for name, value in _ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            set_up(threads or 1)
            if not is_writer():
                warnings.simplefilter("ignore")  # the first process warns
                logging.getLogger().setLevel(logging.ERROR)
            pl.seed_everything(seed, workers=True, verbose=False)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        torch.set_num_threads(count)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cudnn.allow_tf32 = rounds
        log.setLevel(level)
        logging.getLogger().setLevel(root)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
