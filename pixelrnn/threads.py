"""How many CPU threads a computation takes: the one rule, with what was measured.

Small products gain little from a second thread, and while other processes keep the cores busy,
threads that wait for each other make them 5 to 100 times slower. So a second thread has to be worth
it, and a process never takes more threads than `cores()`. Torch is imported where it is needed, so
that the command line can count cores without it.

    cores()     physical cores in the affinity, at most the control group's quota (`cores.py`) and
                OMP_NUM_THREADS
    share(n)    of each of n processes that train on this machine
    training    one thread below SMALL_TRAINING, else the share
    generation  one thread for each GENERATION_PER_THREAD, at most the number that torch has
    all else    cores()
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pixelrnn import cores as machine
from pixelrnn import ranks

SMALL_TRAINING = 400_000_000
"""Weights x images x pixels of a training step below which it takes one thread.

Measured with `python -m benchmarks.thread_rule` on 2 idle cores of an AMD EPYC (AVX-512), PixelCNN,
Row LSTM and Diagonal BiLSTM of 4 to 15 layers (`benchmarks/results/thread_rule.json`): the second
thread makes a step 1.4 to 1.6 times as fast below 140 million, 1.5 to 1.9 times from 400 million.
"""

GENERATION_PER_THREAD = 75_000_000
"""Weights x images of a walk over the pixels for each thread.

Measured on 2 cores AMD EPYC (AVX-512), torch 2.13, all three models with 4 layers, h = 16, 64, 128,
batches of 16 and 64, and with 12 layers, h = 128, batch 16; one and two threads interleaved in one
process. Below 90 million the second thread makes it 1.02 to 1.26 times as fast, near 120 million
1.06 to 1.39 times, from 145 million on 1.2 to 1.56 times.
"""


def cores() -> int:
    """Cores that this process may use (`cores.available`), at most OMP_NUM_THREADS."""
    return allowed(machine.available())


def share(processes: int) -> int:
    """Cores for each of the processes that train on this machine, at least one.

    Args:
        processes: their number. Those that srun started have cores of their own where SLURM binds
            tasks to cores, or was told their number (`--cpus-per-task`).
    """
    here = ranks.place()
    if here is not None and here.starter == "srun":
        of_task, of_node = (
            int(text) if (text := os.environ.get(name, "")).isdecimal() else 0
            for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
        )
        if of_task:
            return max(1, min(of_task, cores()))
        if machine.available() < of_node:
            return cores()
    return max(1, cores() // processes)


def allowed(count: int) -> int:
    """A number of threads, but no more than OMP_NUM_THREADS says, and at least one."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    limit = int(asked) if asked.isdecimal() and int(asked) > 0 else count
    return max(1, min(count, limit))


def for_training(weights: int, images: int, pixels: int, processes: int = 1) -> int:
    """Threads for training steps: one for a small model, else all cores.

    Args:
        weights: number of parameters.
        images: images of a step, in this process.
        pixels: H times W.
        processes: that train on this machine; each gets its share of the cores.
    """
    return 1 if weights * images * pixels < SMALL_TRAINING else share(processes)


def for_generation(weights: int, images: int) -> int:
    """Threads for images that are generated together, never above torch's present number.

    A function of sizes: the same walk on the same machine takes the same number, and repeats to the
    last bit.
    """
    import torch

    return max(1, min(torch.get_num_threads(), weights * images // GENERATION_PER_THREAD))


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Run torch's CPU operations on `count` threads, then on as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
