"""What the parts of a run cost on this machine, measured in a process of its own.

So its peak of memory is that of the run, and where memory ends, that process ends and no other.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelrnn import refused, start_up
from pixelrnn.errors import ConfigError, PixelRNNError

GRID = 36
"""Samples whose time is measured: as many as a run draws at its end."""

KEPT_FREE = 0.03
"""Share of the machine's memory that a measurement leaves to others: it holds the pages of running
programs, and without them the whole machine stands still."""

_LOOK_AGAIN = 0.5
"""Seconds between two looks at the free memory."""


@dataclass(frozen=True)
class Costs:
    """Times in seconds, memory in bytes.

    Attributes:
        imports: what the first run of a process pays: imports, W&B's own process.
        begin: what every run takes to its first step: building, its loggers, the sanity check.
        step: an optimiser step, with what happens between steps.
        epoch_end: what the end of an epoch takes besides validation, such as saving the state.
        validation: one validation image while training.
        evaluation: one image of the exact evaluation at the end.
        grid: a picture of `GRID` samples.
        end: loading the best weights, ending the loggers.
        memory: the peak of the process.
        device_memory: the peak on the GPU; None: none was used.
        parameters: of the model.
        threads: of the CPU.
        drawn: whether the images were drawn at random, since the data are not at hand.
        batches: of a training epoch.
        images: of each split of the whole set.
        evaluation_batch: images that are evaluated together.
        processes: that share a batch; one of them was measured, without their exchange.
    """

    imports: float
    begin: float
    step: float
    epoch_end: float
    validation: float
    evaluation: float
    grid: float
    end: float
    memory: int
    device_memory: int | None
    parameters: int
    threads: int
    drawn: bool
    batches: int
    images: dict[str, int]
    evaluation_batch: int
    processes: int


def free_memory() -> int | None:
    """Bytes of this machine's memory that programs may still take; None: not known (Linux only)."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        words = next(line.split() for line in lines if line.startswith("MemAvailable:"))
        return int(words[1]) * 1024
    return None


def measured(
    config: dict[str, Any], steps: int, seconds: float, memory: int | None = None
) -> Costs:
    """Measure a run in a new process. No data are fetched, and the run's folder is not touched.

    Args:
        config: of the run, as `preparation.prepare` fills it.
        steps: how many optimiser steps at least.
        seconds: about how long each part is measured.
        memory: bytes that the process may take, so that a run that is too large does not push
            other programs out of the memory; None: all there is. Not heeded where there is a GPU.

    Raises:
        ConfigError: the run would be refused here.
        MemoryError: its memory does not suffice, also that of the processes which load its data.
        RuntimeError: the process failed; the text is the last line that it said.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        answer = Path(folder) / "answer.json"
        work = {"config": config, "steps": steps, "seconds": seconds, "memory": memory}
        work["started"] = time.time()
        command = [sys.executable, "-m", "pixelrnn.training.costs", str(answer)]
        status, errors = _watched(command, json.dumps(work), folder)
        if status == -9:
            raise MemoryError("it was killed for want of memory")
        if not answer.is_file():
            said = errors.strip().splitlines() or [f"exit status {status}"]
            raise RuntimeError(said[-1])
        found = json.loads(answer.read_text(encoding="utf-8"))
    if "too_large" in found:
        raise MemoryError(found["too_large"])
    if "error" in found:
        raise ConfigError(found["error"])
    return Costs(**found)


def _watched(command: list[str], given: str, folder: str) -> tuple[int, str]:
    """Run a process, and end it when memory runs short: its exit status and its stderr.

    The limit that the process sets itself bounds neither its loaders' processes nor what others
    take meanwhile. Its temporary files lie in the folder, since one that is ended removes none.
    """
    kept = KEPT_FREE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        env=os.environ | {"TMPDIR": folder},
    ) as child:
        to_send: str | None = given
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _, errors = child.communicate(to_send, timeout=_LOOK_AGAIN)
                    return child.returncode, errors
                to_send = None  # it is sent once, by the first look
                free = free_memory()
                if free is not None and free < kept:
                    raise MemoryError(f"with it, less than {kept / 2**30:.1f} GiB were left")
        finally:
            child.kill()


def main() -> int:
    """Measure what stdin describes; write the costs, or why there are none, as JSON."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory ends, this process is to end first
    work = json.load(sys.stdin)
    with start_up.starting():
        from pixelrnn.training import measuring

        imports = time.time() - work["started"]
        try:
            _bound(work["memory"])
            found = measuring.costs(work["config"], work["steps"], work["seconds"])
            answer = found | {"imports": imports + found["imports"]}
        except PixelRNNError as error:
            answer = {"error": str(error)}
        except Exception as error:
            if not refused.for_want_of_memory(error):
                raise
            answer = {"too_large": " ".join(str(error).split())[:200]}
    Path(sys.argv[1]).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _bound(memory: int | None) -> None:
    """Let requests for more memory fail in this process; drivers of GPUs reserve far more."""
    import torch

    if memory is not None and not torch.cuda.is_available():
        resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.RLIM_INFINITY))


if __name__ == "__main__":
    sys.exit(main())
