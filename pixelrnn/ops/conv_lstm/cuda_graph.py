"""The step loops of `loops.py`, recorded once per shape and played back: a CUDA graph.

A line of the recurrence is a few small launches, and on a GPU launching takes longer than running
them. A graph launches all lines at once. It reads and writes the memory that it was recorded with,
so inputs are copied there, and results from there.

A recording that does not compute what the loops compute is found and not used (`captured`); that
the whole rung is right and faster on a device is shown before `auto` takes it (`graph_choice.py`).
"""

from functools import lru_cache

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm.active_positions import ActivePositions
from pixelrnn.ops.conv_lstm.interfaces import Compile, Loops
from pixelrnn.ops.conv_lstm.loops import line_by_line
from pixelrnn.ops.conv_lstm.recorder import CudaRecorder, Outputs, Recorder
from pixelrnn.ops.conv_lstm.recordings import LIMIT, PATIENCE, Recordings, flat


@lru_cache
def the_recorder() -> Recorder:
    """Return the one recorder of this process, so that all recordings take turns."""
    return CudaRecorder()


@lru_cache
def as_graphs(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """Return the loops of `loops.py` with this cell, as graphs."""
    return captured(line_by_line(compile, device_type, dtype), the_recorder())


def captured(
    loops: Loops,
    recorder: Recorder,
    patience: int = PATIENCE,
    limit: int = LIMIT,
    strict: bool = False,
) -> Loops:
    """Return loops that record themselves for every new shape, and after that play back.

    A recording that fails, or whose results differ from those of `loops`, is not used: one line in
    the log says so, and that shape goes on as without graphs.

    Args:
        loops: the loops to record.
        recorder: makes the recordings.
        patience: calls with a shape from which on it is recorded.
        limit: recordings that are kept; the one that was used least recently is dropped.
        strict: a recording that fails raises its error, as for a check of recordings.

    Raises:
        KernelError: when called: a recording failed and the device does not go on, or one that was
            right before gives other results now.
    """
    recorded = _RecordedLoops(loops, Recordings(recorder, patience, limit, strict))
    return Loops(recorded.forward, recorded.backward)


class _RecordedLoops:
    """Both loops, played back from recordings where there are any."""

    def __init__(self, loops: Loops, recordings: Recordings) -> None:
        self.loops, self.play = loops, recordings.play

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
        loop = self.loops.forward  # a recording holds this, and not the one that holds recordings

        def run(
            gates: Tensor, weight: Tensor, initial_hidden: Tensor, initial_cell: Tensor
        ) -> Outputs:
            initial = initial_hidden, initial_cell
            return loop(gates, weight, *initial, pad_before, active, keep, None)

        inputs = (gates, weight, initial_hidden, initial_cell)
        key = ("forward", pad_before, active, keep)
        hidden, activations, states = self.play(run, inputs, key, gates.device)
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
        loop = self.loops.backward

        def run(
            grad_output: Tensor,
            weight: Tensor,
            activations: Tensor,
            grad_input: Tensor | None,
            states: Tensor,
        ) -> Outputs:
            gates = torch.empty_like(activations)
            inputs = grad_output, weight, activations, gates, grad_input, states
            grad_cell = loop(*inputs, pad_before, active)
            return (gates, grad_cell) if grad_input is None else (gates, grad_cell, grad_input)

        inputs = (grad_output, weight, activations, grad_input, states)
        key = ("backward", pad_before, active)
        gates, grad_cell, *separate = self.play(run, inputs, key, grad_output.device)
        grad_gates.copy_(gates)
        if grad_input is not None:
            flat(grad_input).copy_(flat(*separate))
        return grad_cell
