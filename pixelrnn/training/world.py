"""The processes that train together: one group, decisions that all of them take alike.

Whoever started the processes says so in the environment (`ranks`). Without several processes all
functions here return at once, and nothing of torch.distributed is touched.

A group computes on whatever device its tensors lie: gloo carries what lies on the CPU, such as all
decisions here, NCCL what lies on CUDA devices. No collective has a time limit that matters: the
first process may draw pictures for an hour while the others wait for it. Lost processes are the
watchdog's to find (`watchdog`).
"""

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
from pytorch_lightning.plugins.environments import SLURMEnvironment
from torch import distributed

from pixelrnn import ranks
from pixelrnn.errors import PixelRNNError, ProcessLost, RunError
from pixelrnn.training.watchdog import Watchdog

T = TypeVar("T")

_UNLIMITED = timedelta(days=30)
_TO_COME = timedelta(minutes=10)
"""How long the processes wait for each other when they start."""

_LARGEST_NUMBER = 65
"""Signals have numbers up to 64."""

_watchdog: Watchdog | None = None


def size() -> int:
    """Number of processes in the group; 1 without a group."""
    return distributed.get_world_size() if _grouped() else 1


def join(store: distributed.Store | None = None) -> None:
    """Join the group of the processes, if this one was started as one of several.

    Args:
        store: of the group, if this process made it; None: as the environment says.

    Raises:
        RunError: the others do not come.
    """
    global _watchdog
    place = ranks.place()
    if place is None or _grouped():
        return
    if store is None:
        atexit.register(leave)
    try:
        store = _rendezvous(place) if store is None else store
        store.set(f"pixelrnn/here/{place.rank}", "yes")
        store.wait([f"pixelrnn/here/{rank}" for rank in range(place.size)], _TO_COME)
        _watchdog = Watchdog(place, store, os.environ["MASTER_ADDR"])
    except (RuntimeError, OSError) as error:
        raise RunError(
            f"not all of the {place.size} processes of {place.starter} came together within "
            f"{_TO_COME.seconds // 60} minutes ({str(error).splitlines()[0][:150]})"
        ) from error
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=place.rank, world_size=place.size, timeout=_UNLIMITED
    )


def leave() -> None:
    """Leave the group after all is done, so that no one misses this process."""
    global _watchdog
    if _watchdog is not None:
        _watchdog.close()
        _watchdog = None
        if _grouped():
            distributed.destroy_process_group()


@contextlib.contextmanager
def watched_over(saved: Callable[[], str]) -> Iterator[None]:
    """End with the others: when one process fails or is killed, all others end, too.

    Args:
        saved: says how the work goes on, for the message.

    Raises:
        ProcessLost: another process was lost.
    """
    if _watchdog is not None:
        _watchdog.saved = saved
    try:
        yield
    except BaseException as error:
        if _watchdog is None:
            raise
        lost = None
        if isinstance(error, RuntimeError) and not isinstance(error, PixelRNNError):
            lost = _watchdog.loss(wait=10)  # the group may notice before the watchdog does
        if lost is None:
            reason = " ".join(str(error).split()) if isinstance(error, Exception) else "interrupted"
            _watchdog.tell(reason or type(error).__name__)
        leave()
        if lost is not None:
            raise ProcessLost(lost.text, lost.told) from error
        raise


def from_first(work: Callable[[], T]) -> T:
    """What the first process finds; the others get its result, or end if it fails.

    Raises:
        PixelRNNError: in the first process what `work` raises; in the others that it did.
    """
    if size() == 1:
        return work()
    if not ranks.is_first():
        failed, result = _broadcast(None)
        if failed:
            raise PixelRNNError(failed)
        return result
    try:
        result = work()
    except BaseException as error:
        _broadcast((str(error) or type(error).__name__, None))
        raise
    _broadcast((None, result))
    return result


def all_or_none(work: Callable[[], T]) -> T:
    """Do the same in every process; if one of them refuses, all do.

    Raises:
        PixelRNNError: what `work` raises, here or in another process.
    """
    if size() == 1:
        return work()
    mine: BaseException | None = None
    try:
        result = work()
    except BaseException as error:
        mine = error
    reasons: list[Any] = [None] * size()
    distributed.all_gather_object(reasons, None if mine is None else str(mine))
    if mine is not None:
        raise mine
    for rank, reason in enumerate(reasons):
        if reason is not None:
            raise RunError(f"process {rank} of {size()}: {reason}")
    return result


def united(numbers: set[int]) -> set[int]:
    """The numbers that any process has, the same in all of them.

    Args:
        numbers: of this process, each from 0 to 64.
    """
    if size() == 1:
        return set(numbers)
    present = torch.zeros(_LARGEST_NUMBER, dtype=torch.uint8, device=_device())
    present[list(numbers)] = 1
    distributed.all_reduce(present, distributed.ReduceOp.MAX)
    return set(present.nonzero().flatten().tolist())


def gathered(value: T) -> list[T]:
    """The value of each process, in the order of their ranks."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    distributed.all_gather_object(values, value)
    return values


def _rendezvous(place: ranks.Place) -> distributed.Store:
    if place.starter == "srun":
        nodes = os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")
        step = f"{os.environ['SLURM_JOB_ID']}{os.environ.get('SLURM_STEP_ID', '0')}"
        first = SLURMEnvironment.resolve_root_node_address(nodes)
        os.environ.setdefault("MASTER_ADDR", first)
        os.environ.setdefault("MASTER_PORT", str(15000 + int(step) % 15000))
    found = distributed.rendezvous("env://", place.rank, place.size, timeout=_TO_COME)
    return next(iter(found))[0]


def _broadcast(value: Any) -> Any:
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _device() -> torch.device:
    """Where decisions are exchanged: on the CPU, unless a Trainer made a group without it."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
