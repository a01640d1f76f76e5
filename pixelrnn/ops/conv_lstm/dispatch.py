"""The one public `conv_lstm`: it checks shapes, picks a rung of the ladder, and says why.

Every rung computes what `reference.conv_lstm` does and is held equal to it by
`tests/ops/conv_lstm/test_autograd.py`. A rung's name is that of its file.

Axes: `D` directions, `T` steps (lines), `L` positions on a line, `B` batch, `F` features, `K` taps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator
from torch import Tensor

from pixelrnn.errors import KernelError
from pixelrnn.ops import choices
from pixelrnn.ops.conv_lstm import autograd, cuda_graph, graph_choice, native_loops, reference
from pixelrnn.ops.conv_lstm.interfaces import Call, Compile

Name = Literal["auto", "reference", "autograd", "native_loops", "cuda_graph"]


def present_name(name: Any) -> Any:
    """Return the present name of a rung that a stored configuration calls by its old one."""
    return "native_loops" if name == "native" else name


KernelName = Annotated[Name, BeforeValidator(present_name)]
"""The name of a rung in a configuration, which may be an old one."""


@dataclass(frozen=True)
class Kernel:
    """Which implementation of the recurrence runs; results agree up to rounding.

    Attributes:
        name: a rung of the ladder, or "auto": the fastest that takes the input and has been shown
            to work on such a device. On CUDA it takes "cuda_graph" for shapes for which graphs are
            found right and faster there (`graph_choice.py`), else "autograd".
        compile: how the pointwise part is fused (`cell.cell_for`); the reference ignores it.
    """

    name: KernelName = "auto"
    compile: Compile = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", present_name(self.name))
        if self.name not in get_args(Name):
            raise KernelError(f"kernel.name={self.name}: choose {', '.join(get_args(Name))}")


@dataclass(frozen=True)
class Rung:
    """One implementation.

    Attributes:
        run: takes what `reference.conv_lstm` takes, then `compile` and `overwrite`.
        objection: returns why it cannot take these gates, frozen positions and cell, or None.
        left_out: returns why `auto` leaves it out for a call with this cell, or None.
        device: the only type of device it runs on; None: any.
    """

    run: Callable[[Tensor, Tensor, Tensor, Tensor, int, Tensor | None, Compile, bool], Tensor]
    objection: Callable[[Tensor, Tensor | None, Compile], str | None]
    left_out: Callable[[Call, Compile], str | None] = lambda *_: None
    device: str | None = None

    def refusal(self, call: Call, compile: Compile) -> str | None:
        """Return why it cannot take this input on this device, or None if it can."""
        if self.device not in (None, call.gates.device.type):
            return f"it runs on {self.device} only, not on {call.gates.device.type}"
        return self.objection(call.gates, call.frozen, compile)


RUNGS: dict[str, Rung] = {
    "reference": Rung(lambda *tensors: reference.conv_lstm(*tensors[:-2]), lambda *_: None),
    "autograd": Rung(autograd.conv_lstm, autograd.autograd_objection),
    "native_loops": Rung(
        partial(autograd.conv_lstm, loops_for=native_loops.in_one_call),
        native_loops.native_loops_objection,
        native_loops.too_many_features,
        "cpu",
    ),
    "cuda_graph": Rung(
        partial(autograd.conv_lstm, loops_for=cuda_graph.as_graphs),
        autograd.autograd_objection,
        graph_choice.objection,
        "cuda",
    ),
}
"""Name -> rung, slowest first; `auto` takes the last that takes the input."""


def conv_lstm(
    input_to_state: Tensor,
    state_to_state: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    *,
    pad_before: int,
    frozen: Tensor | None = None,
    kernel: Kernel | Name = "auto",
    overwrite: bool = False,
) -> Tensor:
    """Compute equation 3: `gates_t = input_to_state_t + conv1d(pad(h_{t-1}), state_to_state)`.

    Outside the line, and where `frozen`, the state is the learned initial one.

    Args:
        input_to_state: (D, T, L, B, 4F), gates in the order o, f, i, g; any float dtype.
        state_to_state: (D, K, F, 4F); tap k reads position l + k - pad_before of the line before.
        initial_hidden: (D, F), broadcast over positions.
        initial_cell: (D, F), broadcast over positions.
        pad_before: positions of padding before the line; K - 1 - pad_before come after it.
        frozen: (T, L) bool on the CPU, True where the state stays at its initial value.
        kernel: which implementation; a name alone stands for `Kernel(name)`.
        overwrite: nobody else needs `input_to_state`, so that the gates' activations may be kept
            in its memory: 4F numbers fewer per position at the peak, where no position is frozen.

    Returns:
        Hidden states, (D, T, L, B, F).

    Raises:
        ValueError: Shapes do not fit.
        KernelError: There is no such rung, or it cannot take the input; also a `ValueError`.
    """
    _check(input_to_state, state_to_state, initial_hidden, initial_cell, pad_before, frozen)
    chosen = Kernel(kernel) if isinstance(kernel, str) else kernel
    tensors = (input_to_state, state_to_state, initial_hidden, initial_cell)
    rung = select_rung(chosen, Call(*tensors, pad_before, frozen))
    return rung.run(*tensors, pad_before, frozen, chosen.compile, overwrite)


def select_rung(kernel: Kernel, call: Call) -> Rung:
    """Return the rung that is asked for, or for `auto` the fastest that takes the input.

    Raises:
        KernelError: The rung that is asked for cannot take the input.
    """
    if kernel.name != "auto":
        refusal = RUNGS[kernel.name].refusal(call, kernel.compile)
        if refusal:
            raise KernelError(f"kernel.name={kernel.name}: {refusal}; auto takes what can")
        choices.note(f"conv_lstm kernel: {kernel.name} (kernel.name={kernel.name})")
        return RUNGS[kernel.name]
    refusals: dict[str, str] = {}
    for name, rung in reversed(RUNGS.items()):
        if rung.device not in (None, call.gates.device.type):
            continue
        refusal = rung.left_out(call, kernel.compile) or rung.refusal(call, kernel.compile)
        if refusal is None:
            others = "; ".join(f"not {other}: {why}" for other, why in refusals.items())
            choices.note(f"conv_lstm kernel: {name}" + (f" ({others})" if others else ""))
            return rung
        refusals[name] = refusal
    raise KernelError(f"no kernel takes this input: {refusals}")


def _check(
    gates: Tensor,
    state_to_state: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    pad_before: int,
    frozen: Tensor | None,
) -> None:
    if gates.dim() != 5 or gates.shape[-1] % 4 != 0:
        raise ValueError(f"input_to_state must be (D, T, L, B, 4F), got {tuple(gates.shape)}")
    directions, steps, positions, _, width = gates.shape
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
    if frozen is not None and frozen.shape != (steps, positions):
        raise ValueError(f"frozen must be (T, L) = {(steps, positions)}, got {tuple(frozen.shape)}")
