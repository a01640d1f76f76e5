"""How long functions take, measured in turns, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

Wait = Callable[[], None]
"""Waits until a device has done what it was given."""


def wait_for(device: torch.device) -> Wait:
    """Return a function that waits for this device; on a CPU there is nothing to wait for."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None


def medians(
    candidates: Mapping[str, Callable[[], object]], turns: int = 5, wait: Wait = lambda: None
) -> dict[str, float]:
    """Measure functions in turns; each is run once before, unmeasured.

    Args:
        candidates: name -> what is measured.
        turns: how often each is run.
        wait: waits for the device that they run on, before a clock is read.

    Returns:
        Name -> median of the seconds that it took.
    """
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(turns):
        for name, run in candidates.items():
            wait()
            start = time.perf_counter()
            run()
            wait()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}
