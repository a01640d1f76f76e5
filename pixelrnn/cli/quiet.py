"""What a command sets once: threads, and silence for messages that help no user."""

import logging
import warnings

import torch

from pixelrnn.ops import memory


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
        ".*anonymous setting has no effect.*",
        ".*number of training batches.*smaller than the logging interval.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    memory.reuse_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
