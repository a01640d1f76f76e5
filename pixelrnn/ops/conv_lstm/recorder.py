"""What records CUDA graphs, behind an interface: tests put recorders that go wrong in its place."""

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

Outputs = tuple[Tensor, ...]


class Recorder(ABC):
    """Records what a function launches, to be launched again in one go."""

    @abstractmethod
    def record(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Return the outputs, and a function that computes them anew, in place.

        It is called within `turn`. What goes wrong, it raises.
        """

    @abstractmethod
    def turn(self, device: torch.device) -> AbstractContextManager[None]:
        """Return a context for one recording or replay on a device: the only one at that time."""

    @abstractmethod
    def settle(self, device: torch.device) -> None:
        """Wait until a device has done what it was given.

        Raises:
            Exception: the device does not go on.
        """

    @abstractmethod
    def occupied(self) -> bool:
        """Tell whether somebody else records at this moment, so that nothing may be replayed."""


class CudaRecorder(Recorder):
    """Records CUDA graphs, each in the device of its tensors."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # there is a thread for the backward pass of each device
        self._last: dict[torch.device, torch.cuda.Stream] = {}
        self._pools: dict[torch.device, Any] = {}

    def record(self, function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
        """Record a graph of this device, after runs in which libraries set themselves up.

        What graphs need between their steps lies in one pool for each device: they are replayed one
        after the other, and their outputs are never given back.
        """
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            warm_up(function)
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        pool = self._pools.setdefault(current.device, torch.cuda.graph_pool_handle())
        # The stream is given, as torch's own choice is of the device that recorded first. Another
        # thread's calls, such as those that pin memory, do not end a recording of this thread.
        recording = torch.cuda.graph(
            graph, pool=pool, stream=side, capture_error_mode="thread_local"
        )
        with recording:
            outputs = function()
        return outputs, graph.replay

    @contextmanager
    def turn(self, device: torch.device) -> Iterator[None]:
        """Enter the device; wait for the graph before if it was replayed on another stream."""
        with self._lock, torch.cuda.device(device):
            stream = torch.cuda.current_stream()
            last = self._last.get(stream.device, stream)
            if last != stream:
                stream.wait_stream(last)
            self._last[stream.device] = stream
            yield

    def settle(self, device: torch.device) -> None:
        """See `Recorder.settle`."""
        torch.cuda.synchronize(device)

    def occupied(self) -> bool:
        """Tell whether this stream is being recorded, as by a graph of the whole step."""
        return torch.cuda.is_current_stream_capturing()


def warm_up(function: Callable[[], object], least: int = 3, most: int = 20) -> None:
    """Run a function until a run compiles nothing, and at least a few times.

    Lines of a skewed image differ in length, so that torch.compile may compile in several runs.

    Raises:
        RuntimeError: every run compiles something anew.
    """
    for run in range(1, most + 1):
        before = compilations()
        function()
        if run >= least and compilations() == before:
            return
    raise RuntimeError(f"{most} runs, and each compiles something anew")


def compilations() -> int:
    """Return how often torch.compile has compiled something in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else sum(sum(each.values()) for each in dynamo.counters.values())
