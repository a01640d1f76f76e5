"""Starts the other processes of a run on this machine, for trainer.devices=N by itself.

They run `training/worker.py` with the very configuration that the first process has checked, given
through a pipe. So it does not matter how the first one came about: as a command, a job of a sweep,
or a call from Python.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from torch import distributed

from pixelrnn import ranks
from pixelrnn.errors import RunError
from pixelrnn.training import world

_TO_END = 10.0
"""Seconds that the other processes have to end by themselves."""


@contextlib.contextmanager
def others(work: Mapping[str, Any], count: int) -> Iterator[None]:
    """Train together with processes that are started here, and end when they have ended.

    Args:
        work: what they are to do: the run's `config`, and its `record` if there is one.
        count: number of processes, this one included. With 1, or where torchrun or srun has
            started them, nothing is done.

    Raises:
        RunError: one of them ends before it has begun.
    """
    if count == 1 or ranks.place() is not None:
        yield
        return
    # the kernel chooses a port that is free, and no other process can take it in between
    store = distributed.TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(minutes=10)
    )
    before = dict(os.environ)
    os.environ.update(_environment(0, count, store.port))
    started = [_start(rank, count, store.port, work) for rank in range(1, count)]
    try:
        _await(store, started)
        world.join(store)
        world.all_or_none(lambda: None)  # they check what this process has checked
        yield
    finally:
        world.leave()
        _end(started)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {
        ranks.STARTED_BY_US: str(count),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "NODE_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", loopback),
    }


def _start(rank: int, count: int, port: int, work: Mapping[str, Any]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pixelrnn.training.worker"],
        stdin=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            **_environment(rank, count, port),
            # modules that this process finds, such as the user's own models, are found there, too
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        },
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended already: `_await` finds out
        json.dump(work, process.stdin)
        process.stdin.close()
    return process


def _await(store: distributed.Store, started: list[subprocess.Popen[str]]) -> None:
    """Wait until all processes are there."""
    keys = [f"pixelrnn/here/{rank}" for rank in range(1, len(started) + 1)]
    while not store.check(keys):
        for rank, process in enumerate(started, start=1):
            if process.poll() is not None:
                raise RunError(
                    f"process {rank} of {len(started) + 1} ended while it was started, with exit "
                    f"code {process.returncode}; what it said stands above"
                )
        time.sleep(0.05)


def _end(started: list[subprocess.Popen[str]]) -> None:
    """Wait for the processes to end; kill those that do not."""
    deadline = time.monotonic() + _TO_END
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
