"""The loops of `loops.py`, in one C++ call each (`native_loops.cpp`): for few features, on a CPU.

Axes: `D` directions, `T` steps, `L` places on a line, `B` batch, `F` features, `K` kernel taps;
`N`: active places of all lines (`plan`).
"""

import ctypes
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops.conv_lstm import active_places as plans
from pixelrnn.ops.conv_lstm import loops, native_cell
from pixelrnn.ops.conv_lstm.active_places import Plan
from pixelrnn.ops.conv_lstm.cell import Compile, state_dtype
from pixelrnn.ops.conv_lstm.loops import Loops

SOURCE = Path(__file__).with_suffix(".cpp")

WORTH = 48
"""Features up to which `auto` takes this; around there it hardly matters.

Of the product rate, one by one and here (2 cores AMD EPYC, AVX-512): h=48 Row LSTM 0.63 and 0.65,
in bfloat16 0.99 and 0.92, Diagonal 0.50 and 0.56; h=64 Row LSTM 0.71 and 0.72, in bfloat16 1.21
and 1.12, Diagonal 0.54 and 0.58, in bfloat16 0.84 and 0.89.
"""


def supports(input_to_state: Tensor, held: Tensor | None, compile: Compile) -> str | None:
    """What stands against these loops, or None."""
    if input_to_state.dtype not in native_cell.NAMES:
        return f"no version for {input_to_state.dtype}"
    if compile not in ("auto", "native"):
        return f"kernel.compile={compile} asks for another cell"
    try:
        compiler.library(SOURCE)
    except CompilerError as error:
        return str(error)
    return plans.problem(held)


def slower(input_to_state: Tensor) -> str | None:
    """Why `auto` should leave them out, or None."""
    features = input_to_state.shape[-1] // 4
    return f"slower for more than {WORTH} features" if features > WORTH else None


def forward(
    gates: Tensor,
    weight: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    pad_before: int,
    plan: Plan,
    keep: bool,
    room: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `loops.forward`."""
    directions, _, _, batch, width = gates.shape
    exact = state_dtype(gates.dtype)
    hidden = loops.hidden_with_borders(gates, initial_hidden, weight.shape[1], pad_before, plan)
    stored, places = (sum(plan.sizes), plan.states) if keep else (0, 0)
    activations = gates.new_empty(directions, stored, batch, width) if room is None else room
    states = gates.new_empty(directions, places, batch, width // 4, dtype=exact)
    weight, initial = weight.contiguous(), initial_cell.to(exact).contiguous()
    kept = (activations, states) if keep else (None, None)
    problem = _problem(gates, None, weight, pad_before, plan)
    _call("forward", problem, plan, gates, weight, initial, hidden, *kept)
    return hidden, activations, states


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
    """See `loops.backward`."""
    directions, _, places, batch, features = grad_output.shape
    grad_cell = states.new_zeros(directions, places, batch, features)
    weight = weight.contiguous()
    problem = _problem(grad_input, grad_output, weight, pad_before, plan)
    inputs = grad_output, weight, activations, states
    _call("backward", problem, plan, *inputs, grad_gates, grad_input, grad_cell)
    return grad_cell


LOOPS = Loops(forward, backward)


def choose(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """These loops; see `supports`."""
    return LOOPS


_Problem, _Pointers = ctypes.c_int64 * 16, ctypes.c_void_p * 7


def _problem(
    gates: Tensor | None, grad_output: Tensor | None, weight: Tensor, pad_before: int, plan: Plan
) -> ctypes.Array:
    """The fields of struct Problem in `native_loops.cpp`."""
    directions, taps, features, _ = weight.shape
    batch = next(tensor.shape[3] for tensor in (gates, grad_output) if tensor is not None)
    return _Problem(
        *(directions, *plan.active.shape, batch, features, taps, pad_before),
        *(sum(plan.sizes), plan.states),
        *((0, 0, 0) if gates is None else gates.stride()[:3]),
        *((0, 0, 0) if grad_output is None else grad_output.stride()[:3]),
        torch.get_num_threads(),
    )


def _call(name: str, problem: ctypes.Array, plan: Plan, *tensors: Tensor | None) -> None:
    run = getattr(compiler.library(SOURCE), f"{name}_{native_cell.NAMES[tensors[0].dtype]}")
    pointers = _Pointers(*(None if tensor is None else tensor.data_ptr() for tensor in tensors))
    run(problem, ctypes.c_void_p(plan.table.data_ptr()), pointers)
