"""The one public `conv_lstm`: checks shapes, picks a rung of the ladder, says why.

Every rung has the signature of `reference.conv_lstm` and is held equal to it by the tests.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

from torch import Tensor

from pixelrnn.ops.conv_lstm import autograd, cuda_graph, native_loops, reference
from pixelrnn.ops.conv_lstm.cell import Compile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kernel:
    """Which implementation of the recurrence runs; results agree up to rounding.

    Attributes:
        name: a rung of the ladder, or "auto": the fastest that supports the input.
        compile: how the pointwise part is fused (`cell.choose`); the reference ignores it.
    """

    name: Literal["auto", "reference", "autograd", "native", "cuda_graph"] = "auto"
    compile: Compile = "auto"


@dataclass(frozen=True)
class Rung:
    """One implementation.

    Attributes:
        run: takes what `reference.conv_lstm` takes, `compile` and `overwrite`.
        supports: names what stands against it for these gates, held places and cell, or is None.
        slower: why `auto` leaves it out for these gates, or is None.
        device: the only type of device it runs on; None: any.
    """

    run: Callable[[Tensor, Tensor, Tensor, Tensor, int, Tensor | None, Compile, bool], Tensor]
    supports: Callable[[Tensor, Tensor | None, Compile], str | None]
    slower: Callable[[Tensor], str | None] = lambda _: None
    device: str | None = None

    def refusal(self, gates: Tensor, held: Tensor | None, compile: Compile) -> str | None:
        """What stands against it, or None."""
        if self.device not in (None, gates.device.type):
            return f"for {self.device} only, not {gates.device.type}"
        return self.supports(gates, held, compile)


RUNGS: dict[str, Rung] = {
    "reference": Rung(lambda *tensors: reference.conv_lstm(*tensors[:-2]), lambda *_: None),
    "autograd": Rung(autograd.conv_lstm, autograd.supports),
    "native": Rung(
        partial(autograd.conv_lstm, choose_loops=native_loops.choose),
        native_loops.supports,
        native_loops.slower,
        "cpu",
    ),
    "cuda_graph": Rung(
        partial(autograd.conv_lstm, choose_loops=cuda_graph.choose),
        autograd.supports,
        device="cuda",
    ),
}
"""Name -> rung, slowest first; `auto` takes the last that supports the input."""


def conv_lstm(
    input_to_state: Tensor,
    state_to_state: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    *,
    pad_before: int,
    held: Tensor | None = None,
    kernel: Kernel | str = "auto",
    overwrite: bool = False,
) -> Tensor:
    """Equation 3 over lines: `gates_t = input_to_state_t + conv1d(pad(h_{t-1}), state_to_state)`.

    Outside the line, and where `held`, the state is the learned initial one.

    Args:
        input_to_state: (D, T, L, B, 4F), gates in the order o, f, i, g; any float dtype.
        state_to_state: (D, K, F, 4F); tap k reads place l + k - pad_before of the line before.
        initial_hidden: (D, F), broadcast over places.
        initial_cell: (D, F), broadcast over places.
        pad_before: places of padding before the line; K - 1 - pad_before come after it.
        held: (T, L) bool on the CPU, True where the state stays at its initial value.
        kernel: which implementation; a name alone stands for `Kernel(name)`.
        overwrite: nobody else needs `input_to_state`, so that the gates' activations may be kept
            in its place: 4F numbers fewer per place at the peak, where no place is held.

    Returns:
        Hidden states, (D, T, L, B, F).

    Raises:
        ValueError: shapes do not fit, or no such rung, or it does not support the input.
    """
    _check(input_to_state, state_to_state, initial_hidden, initial_cell, pad_before, held)
    chosen = Kernel(kernel) if isinstance(kernel, str) else kernel
    tensors = (input_to_state, state_to_state, initial_hidden, initial_cell)
    rung = _choose(chosen, input_to_state, held)
    return rung.run(*tensors, pad_before, held, chosen.compile, overwrite)


def _choose(kernel: Kernel, gates: Tensor, held: Tensor | None) -> Rung:
    if kernel.name != "auto":
        if kernel.name not in RUNGS:
            raise ValueError(f"kernel {kernel.name!r}: choose auto or one of {', '.join(RUNGS)}")
        refusal = RUNGS[kernel.name].refusal(gates, held, kernel.compile)
        if refusal:
            raise ValueError(f"kernel {kernel.name!r}: {refusal}")
        return RUNGS[kernel.name]
    refusals = {}
    for name, rung in reversed(RUNGS.items()):
        if rung.device not in (None, gates.device.type):
            continue
        refusal = rung.slower(gates) or rung.refusal(gates, held, kernel.compile)
        if refusal is None:
            _say(name, "; ".join(f"not {other}: {why}" for other, why in refusals.items()))
            return rung
        refusals[name] = refusal
    raise ValueError(f"no kernel supports this input: {refusals}")


@lru_cache
def _say(name: str, why_not_others: str) -> None:
    log.info("conv_lstm kernel: %s%s", name, f" ({why_not_others})" if why_not_others else "")


def _check(
    gates: Tensor,
    state_to_state: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    pad_before: int,
    held: Tensor | None,
) -> None:
    if gates.dim() != 5 or gates.shape[-1] % 4 != 0:
        raise ValueError(f"input_to_state must be (D, T, L, B, 4F), got {tuple(gates.shape)}")
    directions, steps, places, _, width = gates.shape
    features = width // 4
    if state_to_state.dim() != 4 or state_to_state.shape[0::2] != (directions, features):
        raise ValueError(
            f"state_to_state must be (D, K, F, 4F) with D={directions} and F={features}, "
            f"got {tuple(state_to_state.shape)}"
        )
    if state_to_state.shape[-1] != width:
        raise ValueError(f"state_to_state must end in 4F={width}, got {state_to_state.shape[-1]}")
    if not 0 <= pad_before < state_to_state.shape[1]:
        raise ValueError(
            f"pad_before must be in [0, K={state_to_state.shape[1]}), got {pad_before}"
        )
    for name, state in (("initial_hidden", initial_hidden), ("initial_cell", initial_cell)):
        if state.shape != (directions, features):
            raise ValueError(f"{name} must be {(directions, features)}, got {tuple(state.shape)}")
    if held is not None and held.shape != (steps, places):
        raise ValueError(f"held must be (T, L) = {(steps, places)}, got {tuple(held.shape)}")
