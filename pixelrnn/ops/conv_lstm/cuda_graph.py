"""The step loops of `loops.py`, recorded once per shape and played back: a CUDA graph.

A line of the recurrence is a few small launches, and on a GPU launching takes longer than running
them. A graph launches all lines at once. It reads and writes the memory that it was recorded with,
so inputs are copied there, and results from there.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm import loops as plain_loops
from pixelrnn.ops.conv_lstm.active_places import Plan
from pixelrnn.ops.conv_lstm.cell import Compile
from pixelrnn.ops.conv_lstm.loops import Loops

log = logging.getLogger(__name__)

Outputs = tuple[Tensor, ...]
Record = Callable[[Callable[[], Outputs]], tuple[Outputs, Callable[[], None]]]
"""Runs a function; returns its outputs, and what computes them anew, in place."""


@lru_cache
def choose(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """The loops of `loops.py` with this cell, as graphs."""
    return captured(plain_loops.choose(compile, device_type, dtype), record_on_cuda)


def record_on_cuda(function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
    """A CUDA graph. The function runs three times before: libraries set themselves up."""
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        for _ in range(3):
            function()
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = function()
    return outputs, graph.replay


def captured(loops: Loops, record: Record) -> Loops:
    """Loops that record themselves for every new shape, and after that play back.

    A recording that fails, or whose results differ from those of `loops`, is not used: one line in
    the log says so, and that shape goes on as without graphs.

    Args:
        loops: what to record.
        record: how.
    """
    play = _Recordings(record).play

    def forward(
        gates: Tensor,
        weight: Tensor,
        initial_hidden: Tensor,
        initial_cell: Tensor,
        pad_before: int,
        plan: Plan,
        keep: bool,
        room: Tensor | None,  # of no use: a graph has memory of its own
    ) -> Outputs:
        def run(*inputs: Tensor) -> Outputs:
            return loops.forward(*inputs, pad_before, plan, keep, None)

        inputs = [gates, weight, initial_hidden, initial_cell]
        return play(run, inputs, ("forward", pad_before, plan, keep))

    def backward(
        grad_output: Tensor,
        weight: Tensor,
        activations: Tensor,
        grad_gates: Tensor,
        grad_input: Tensor | None,
        states: Tensor,
        pad_before: int,
        plan: Plan,
    ) -> Tensor:
        def run(grad_output: Tensor, weight: Tensor, activations: Tensor, *rest: Any) -> Outputs:
            room, states = rest
            gates = torch.empty_like(activations)
            inputs = grad_output, weight, activations, gates, room, states
            grad_cell = loops.backward(*inputs, pad_before, plan)
            return (gates, grad_cell) if room is None else (gates, grad_cell, room)

        inputs = [grad_output, weight, activations, grad_input, states]
        gates, grad_cell, *room = play(run, inputs, ("backward", pad_before, plan))
        grad_gates.copy_(gates)
        if grad_input is not None:
            _flat(grad_input).copy_(_flat(*room))
        return grad_cell

    return Loops(forward, backward)


class _Recordings:
    """One for every shape; None where recording failed."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.of: dict[Any, _Recording | None] = {}

    def play(
        self, function: Callable[..., Outputs], inputs: list[Tensor | None], key: tuple[Any, ...]
    ) -> Outputs:
        """The outputs of `function(*inputs)`; `key` names the function and what it closes over."""
        key = (*key, *(None if x is None else _layout(x) for x in inputs))
        if key not in self.of:
            self.of[key] = _try_to_record(function, inputs, self.record)
        recording = self.of[key]
        return function(*inputs) if recording is None else recording.play(inputs)


class _Recording:
    """One recorded call: the memory that it reads, that it writes, and how to play it."""

    def __init__(
        self, function: Callable[..., Outputs], inputs: list[Tensor | None], record: Record
    ) -> None:
        self.inputs = [None if x is None else _like(x) for x in inputs]
        self._take(inputs)
        self.outputs, self.replay = record(lambda: function(*self.inputs))

    def play(self, inputs: list[Tensor | None]) -> Outputs:
        self._take(inputs)
        self.replay()
        return tuple(_like(output) for output in self.outputs)

    def _take(self, inputs: list[Tensor | None]) -> None:
        for mine, given in zip(self.inputs, inputs, strict=True):
            if mine is not None and given is not None:
                _flat(mine).copy_(_flat(given))


def _try_to_record(
    function: Callable[..., Outputs], inputs: list[Tensor | None], record: Record
) -> _Recording | None:
    try:
        recording = _Recording(function, inputs, record)
        for output in recording.outputs:
            _flat(output).zero_()
        played, expected = recording.play(inputs), function(*inputs)
        for ours, theirs in zip(played, expected, strict=True):
            torch.testing.assert_close(_flat(ours), _flat(theirs), equal_nan=True)
    except Exception as error:  # whatever a driver, or a library that cannot be recorded, raises
        reason = " ".join(str(error).split())[:200]
        log.warning("conv_lstm: steps are launched one by one, no CUDA graph (%s)", reason)
        return None
    return recording


def _layout(x: Tensor) -> tuple[Any, ...]:
    return x.shape, x.stride(), x.dtype, x.device


def _flat(x: Tensor) -> Tensor:
    """All memory that a tensor reaches, each element once, even if the tensor shows it twice."""
    reach = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.as_strided((reach + 1,), (1,)) if x.numel() else x.flatten()


def _like(x: Tensor) -> Tensor:
    """A copy in memory of its own, of the same layout."""
    flat = _flat(x).clone()
    return flat.as_strided(x.shape, x.stride()) if x.numel() else x.clone()
