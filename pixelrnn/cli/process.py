"""What a command sets once: threads, and silence for messages that help no user."""

import logging
import os
import warnings

import torch

from pixelrnn.models.base import ImageDistribution
from pixelrnn.native import memory

SMALL = 1_000_000_000
"""Weights x images x pixels of a training step below which it takes one thread.

The products of a small model are too small to share: a second thread gains little, and while other
processes keep the cores busy it makes them tens of times slower.
"""


def sensible_threads(model: ImageDistribution, batch_size: int) -> int:
    """Threads for training: one for a small model, else all cores."""
    weights = sum(weight.numel() for weight in model.parameters())
    pixels = model.image_shape[1] * model.image_shape[2]
    small = weights * batch_size * pixels < SMALL
    return 1 if small else os.cpu_count() or 1


def set_up(threads: int | None) -> None:
    """Quieten libraries; give this process its share of threads.

    Args:
        threads: None leaves torch's choice, all cores. With several busy processes on one machine
            give each its share: small kernels on contended threads are many times slower.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*your dataloader is not resumable.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*LeafSpec.*",
        ".*`srun` command is available.*",
        ".*anonymous setting has no effect.*",
        ".*srun. command is available.*",
        ".*number of training batches.*smaller than the logging interval.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    memory.reuse_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
