"""Whether `auto` takes CUDA graphs: only where they were shown to be right, and measured faster.

For each dtype and width a check on the device at hand compares values and all gradients with the
reference (`ops/self_check.py`). For each shape that has been met a few times, both loops are timed
with and without graphs. The answer holds for the life of the process.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from pixelrnn.errors import KernelError
from pixelrnn.ops import choices, self_check, timing
from pixelrnn.ops.conv_lstm import autograd, reference
from pixelrnn.ops.conv_lstm.active_positions import active_positions
from pixelrnn.ops.conv_lstm.cuda_graph import captured, the_recorder
from pixelrnn.ops.conv_lstm.interfaces import Call, Compile, Loops
from pixelrnn.ops.conv_lstm.loops import line_by_line
from pixelrnn.ops.conv_lstm.recorder import Recorder
from pixelrnn.ops.conv_lstm.recordings import numerics

PATIENCE = 20
"""Calls with a shape from which on it is tried: a last short batch is not worth it."""

GAIN = 1.05
"""How many times as fast graphs have to be: what they cost in memory should be worth it."""

_REMEMBERED = 256
"""Shapes of which something is known; the oldest is forgotten."""

Measure = Callable[..., dict[str, float]]


@dataclass(frozen=True)
class Proof:
    """What the check of graphs found for a dtype and a width.

    Attributes:
        error: the largest error of any value or gradient, or infinity if something failed.
        fault: what is wrong, or None.
    """

    error: float
    fault: str | None


@dataclass(frozen=True)
class Verdict:
    """Whether graphs are taken for a shape.

    Attributes:
        proof: whether they are right.
        gain: how many times as fast they are; None: not measured.
        objection: why they are not taken, or None.
    """

    proof: Proof
    gain: float | None
    objection: str | None


class Trials:
    """Answers for `auto`, from checks and measurements that are made once.

    Args:
        recorder: makes the recordings.
        measure: times functions in turns, as `timing.medians` does.
        patience: calls with a shape from which on it is tried.
    """

    def __init__(
        self, recorder: Recorder, measure: Measure = timing.medians, patience: int = PATIENCE
    ) -> None:
        self.recorder, self.measure, self.patience = recorder, measure, patience
        self.met: OrderedDict[Any, int | str | None] = OrderedDict()  # calls so far, or the answer
        self.proofs: dict[Any, Proof] = {}

    def objection(self, call: Call, compile: Compile) -> str | None:
        """Return why graphs are not taken for this call, or None if they are.

        Raises:
            KernelError: graphs failed, and the device does not go on.
        """
        if torch.are_deterministic_algorithms_enabled():
            return (
                "what is measured may differ from run to run, which trainer.deterministic forbids"
            )
        gates = call.gates
        frozen = None if call.frozen is None else call.frozen.numpy().tobytes()
        sizes = gates.shape, gates.stride(), call.weight.shape, call.pad_before, frozen
        key = (*sizes, _trains(call), gates.device, products_dtype(gates), compile, numerics())
        known = self.met.pop(key, 0)
        if isinstance(known, int):
            known += 1
            if known >= self.patience:
                known = self.verdict(call, compile).objection
        self.met[key] = known
        while len(self.met) > _REMEMBERED:
            self.met.popitem(last=False)
        if isinstance(known, int):
            return f"a shape is tried when it was met {self.patience} times"
        return known

    def proof(
        self,
        features: int,
        taps: int,
        directions: int,
        dtype: torch.dtype,
        device: torch.device,
        held: bool,
        compile: Compile = "auto",
    ) -> Proof:
        """Check graphs for this width and dtype on a device, once.

        Args:
            features: F.
            taps: K.
            directions: D.
            dtype: of the products.
            device: where they are computed.
            held: whether there are frozen positions.
            compile: which cell is recorded.

        Raises:
            KernelError: graphs failed, and the device does not go on.
        """
        key = (features, taps, directions, dtype, device, held, compile, numerics())
        if key not in self.proofs:
            loops = self._graphs(compile, dtype, device)
            frozen = torch.arange(5)[:, None] < torch.arange(4) if held else None
            subject = checked_case(loops, features, taps, directions, frozen)
            self.proofs[key] = self._proved(subject, dtype, device)
        return self.proofs[key]

    def _graphs(self, compile: Compile, dtype: torch.dtype, device: torch.device) -> Loops:
        """Return loops that record at once, and do not fall back: a trial of graphs alone."""
        plain = line_by_line(compile, device.type, dtype)
        return captured(plain, self.recorder, patience=1, strict=True)

    def _proved(
        self, subject: self_check.Subject, dtype: torch.dtype, device: torch.device
    ) -> Proof:
        try:
            outcome = self_check.check(subject, dtype, device)
        except Exception as error:
            self._go_on_after(error, device)
            return Proof(math.inf, " ".join(str(error).split())[:200])
        return Proof(outcome.worst, outcome.fault)

    def verdict(self, call: Call, compile: Compile) -> Verdict:
        """Check graphs for the width of a call, and measure them at its shape.

        Raises:
            KernelError: graphs failed, and the device does not go on.
        """
        gates = call.gates
        directions, taps, features, _ = call.weight.shape
        dtype, device = products_dtype(gates), gates.device
        what = f"CUDA graphs, {str(dtype).removeprefix('torch.')} {tuple(gates.shape)}"
        held = call.frozen is not None
        proof = self.proof(features, taps, directions, dtype, device, held, compile)
        if proof.fault:
            choices.note(f"conv_lstm: {what}: wrong, not used: {proof.fault}")
            return Verdict(proof, None, f"graphs are wrong here: {proof.fault}")
        try:
            gain = self._gain(call, compile)
        except Exception as error:  # such as too little memory for both
            self._go_on_after(error, device)
            reason = " ".join(str(error).split())[:200]
            return Verdict(proof, None, f"timing graphs failed: {reason}")
        taken = gain >= GAIN
        choices.note(
            f"conv_lstm: {what}: right, with errors up to {proof.error:.1e}; "
            f"{gain:.2f} times as fast, {'used' if taken else 'not used'}"
        )
        return Verdict(proof, gain, None if taken else f"graphs are {gain:.2f} times as fast")

    def _go_on_after(self, error: Exception, device: torch.device) -> None:
        if isinstance(error, KernelError):
            raise error
        try:
            self.recorder.settle(device)
        except Exception as second:
            raise KernelError(
                f"{device} does not go on after a trial of CUDA graphs that failed ({error}): "
                "start again with kernel.name=autograd"
            ) from second

    def _gain(self, call: Call, compile: Compile) -> float:
        """Return how many times as fast the loops are with graphs, at this shape."""
        training = _trains(call)
        dtype, device = products_dtype(call.gates), call.gates.device
        plain = line_by_line(compile, device.type, dtype)
        graphs = self._graphs(compile, dtype, device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            seconds = self.measure(
                {
                    "plain": partial(run_loops, plain, call, dtype, training),
                    "graphs": partial(run_loops, graphs, call, dtype, training),
                },
                wait=timing.wait_for(device),
            )
        return seconds["plain"] / seconds["graphs"]


def _trains(call: Call) -> bool:
    return torch.is_grad_enabled() and any(x.requires_grad for x in call.tensors)


@lru_cache
def the_trials() -> Trials:
    """Return the one of this process."""
    return Trials(the_recorder())


def objection(call: Call, compile: Compile) -> str | None:
    """Return why `auto` leaves CUDA graphs out for this call, or None if it takes them."""
    return the_trials().objection(call, compile)


def products_dtype(gates: Tensor) -> torch.dtype:
    """Return the dtype in which the loops run for these gates, autocast included."""
    device = gates.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else gates.dtype


def checked_case(
    loops: Loops, features: int, taps: int, directions: int, frozen: Tensor | None
) -> self_check.Subject:
    """Return what is checked of loops: 5 steps, 4 positions, 3 images.

    Args:
        loops: the loops to check.
        features: F.
        taps: K.
        directions: D.
        frozen: (5, 4) bool; None: nothing is frozen.
    """
    options = taps // 2, frozen

    def run(*tensors: Tensor) -> Tensor:
        return autograd.conv_lstm(*tensors, *options, loops_for=lambda *_: loops)  # type: ignore

    def plain(*tensors: Tensor) -> Tensor:
        return reference.conv_lstm(*tensors, *options)  # type: ignore

    gates, weight = (directions, 5, 4, 3, 4 * features), (directions, taps, features, 4 * features)
    initial = (directions, features)
    scales = 1.0, (taps * features) ** -0.5, 1.0, 1.0
    return self_check.Subject(run, plain, (gates, weight, initial, initial), scales=scales)


def run_loops(loops: Loops, call: Call, dtype: torch.dtype, training: bool) -> None:
    """Run the forward loop of a call, and with `training` the backward loop."""
    active = active_positions(call.frozen, *call.gates.shape[1:3])
    gates, weight = (x.detach().to(dtype) for x in (call.gates, call.weight))
    gates = autograd.laid_out(gates, active)
    initial = call.initial_hidden.detach(), call.initial_cell.detach()
    hidden, activations, states = loops.forward(
        gates, weight, *initial, call.pad_before, active, training, None
    )
    if not training:
        return
    upstream = hidden[:, 1:, call.pad_before : call.pad_before + gates.shape[2]].contiguous()
    grads = torch.empty_like(activations)
    whole = autograd.input_gradient(grads, gates.shape, gates.stride(), active)
    separate = None if active.all_active else whole
    saved = weight, activations, grads, separate, states
    loops.backward(upstream, *saved, call.pad_before, active)
