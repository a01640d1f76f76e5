"""The step loops of `loops.py`, recorded once per shape and played back: a CUDA graph.

A line of the recurrence is a few small launches, and on a GPU launching takes longer than running
them. A graph launches all lines at once. It reads and writes the memory that it was recorded with,
so inputs are copied there, and results from there.

No GPU has run this yet, so `auto` leaves it out (README, "On a GPU"): ask for it with
`kernel.name=cuda_graph`. The recordings live as long as the process.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm.active_positions import ActivePositions
from pixelrnn.ops.conv_lstm.interfaces import Compile, Loops
from pixelrnn.ops.conv_lstm.loops import line_by_line

log = logging.getLogger(__name__)

Inputs = tuple[Tensor | None, ...]
Outputs = tuple[Tensor, ...]
Record = Callable[[Callable[[], Outputs]], tuple[Outputs, Callable[[], None]]]
"""Runs a function; returns its outputs, and a function that computes them anew, in place."""


@lru_cache
def as_graphs(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """Return the loops of `loops.py` with this cell, as graphs."""
    return captured(line_by_line(compile, device_type, dtype), record_on_cuda)


def record_on_cuda(function: Callable[[], Outputs]) -> tuple[Outputs, Callable[[], None]]:
    """Record a CUDA graph, after three runs in which libraries set themselves up."""
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
    """Return loops that record themselves for every new shape, and after that play back.

    A recording that fails, or whose results differ from those of `loops`, is not used: one line in
    the log says so, and that shape goes on as without graphs.

    Args:
        loops: the loops to record.
        record: makes the recording, such as `record_on_cuda`.
    """
    recorded = _RecordedLoops(loops, record)
    return Loops(recorded.forward, recorded.backward)


class _RecordedLoops:
    """Both loops, played back from recordings where there are any."""

    def __init__(self, loops: Loops, record: Record) -> None:
        self.loops, self.play = loops, _Recordings(record).play

    def forward(
        self,
        gates: Tensor,
        weight: Tensor,
        initial_hidden: Tensor,
        initial_cell: Tensor,
        pad_before: int,
        active: ActivePositions,
        keep: bool,
        buffer: Tensor | None,  # is not used: a graph has memory of its own
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Do a `ForwardLoop`."""

        def run(
            gates: Tensor, weight: Tensor, initial_hidden: Tensor, initial_cell: Tensor
        ) -> Outputs:
            initial = initial_hidden, initial_cell
            return self.loops.forward(gates, weight, *initial, pad_before, active, keep, None)

        inputs = (gates, weight, initial_hidden, initial_cell)
        key = ("forward", pad_before, active, keep)
        hidden, activations, states = self.play(run, inputs, key)
        return hidden, activations, states

    def backward(
        self,
        grad_output: Tensor,
        weight: Tensor,
        activations: Tensor,
        grad_gates: Tensor,
        grad_input: Tensor | None,
        states: Tensor,
        pad_before: int,
        active: ActivePositions,
    ) -> Tensor:
        """Do a `BackwardLoop`."""

        def run(
            grad_output: Tensor,
            weight: Tensor,
            activations: Tensor,
            grad_input: Tensor | None,
            states: Tensor,
        ) -> Outputs:
            gates = torch.empty_like(activations)
            inputs = grad_output, weight, activations, gates, grad_input, states
            grad_cell = self.loops.backward(*inputs, pad_before, active)
            return (gates, grad_cell) if grad_input is None else (gates, grad_cell, grad_input)

        inputs = (grad_output, weight, activations, grad_input, states)
        gates, grad_cell, *separate = self.play(run, inputs, ("backward", pad_before, active))
        grad_gates.copy_(gates)
        if grad_input is not None:
            _flat(grad_input).copy_(_flat(*separate))
        return grad_cell


class _Recordings:
    """The recordings of every shape; None where recording failed."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.of: dict[Any, _Recording | None] = {}

    def play(
        self, function: Callable[..., Outputs], inputs: Inputs, key: tuple[Any, ...]
    ) -> Outputs:
        """Return `function(*inputs)`; `key` names the function and what it closes over."""
        key = (*key, *(None if x is None else _layout(x) for x in inputs))
        if key not in self.of:
            self.of[key] = _try_to_record(function, inputs, self.record)
        recording = self.of[key]
        return function(*inputs) if recording is None else recording.play(inputs)


class _Recording:
    """One recorded call: the memory that it reads and that it writes, and how it is played."""

    def __init__(self, function: Callable[..., Outputs], inputs: Inputs, record: Record) -> None:
        self.inputs = tuple(None if x is None else _like(x) for x in inputs)
        self._take(inputs)
        self.outputs, self.replay = record(lambda: function(*self.inputs))

    def play(self, inputs: Inputs) -> Outputs:
        """Return the outputs for these inputs, in memory of their own."""
        self._take(inputs)
        self.replay()
        return tuple(_like(output) for output in self.outputs)

    def _take(self, inputs: Inputs) -> None:
        for mine, given in zip(self.inputs, inputs, strict=True):
            if mine is not None and given is not None:
                _flat(mine).copy_(_flat(given))


def _try_to_record(
    function: Callable[..., Outputs], inputs: Inputs, record: Record
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
    """Return all memory that a tensor reaches, each element once, even if it is shown twice."""
    reach = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.as_strided((reach + 1,), (1,)) if x.numel() else x.flatten()


def _like(x: Tensor) -> Tensor:
    """Return a copy in memory of its own, of the same layout."""
    flat = _flat(x).clone()
    return flat.as_strided(x.shape, x.stride()) if x.numel() else x.clone()
