"""The loops of `loops.py`, in one C++ call each (`native_loops.cpp`): for few features, on a CPU.

They serve networks of up to `MAX_FEATURES` hidden features, such as the demo and the paper's MNIST
network, in which a product of one line takes less time than calling it does. A training step of the
MNIST network is 3.0 (Row LSTM) and 6.7 times (Diagonal BiLSTM) as fast as on the reference rung
(README, "Measured"). Equation 3 and its derivative are copies of `reference.equation_3` and
`cell.equation_3_backward` (`arithmetic.hpp`); `tests/ops/conv_lstm/test_autograd.py` holds these
loops equal to the reference.

Axes: `D` directions, `T` steps (lines), `L` positions on a line, `B` batch, `F` features, `K` taps;
`N` active positions of all lines, `S` positions whose c is stored (`active_positions.py`).
"""

import ctypes
from pathlib import Path

import torch
from torch import Tensor

from pixelrnn.errors import CompilerError
from pixelrnn.native import compiler
from pixelrnn.ops.conv_lstm import native_cell
from pixelrnn.ops.conv_lstm.active_positions import ActivePositions, mask_objection
from pixelrnn.ops.conv_lstm.cell import state_dtype
from pixelrnn.ops.conv_lstm.interfaces import Call, Compile, Loops
from pixelrnn.ops.conv_lstm.loops import hidden_with_borders

SOURCE = Path(__file__).with_suffix(".cpp")

MAX_FEATURES = 48
"""Features up to which `auto` takes this; around there it hardly matters.

Of the product rate, one by one and here (2 cores AMD EPYC, AVX-512): h=48 Row LSTM 0.63 and 0.65,
in bfloat16 0.99 and 0.92, Diagonal 0.50 and 0.56; h=64 Row LSTM 0.71 and 0.72, in bfloat16 1.21
and 1.12, Diagonal 0.54 and 0.58, in bfloat16 0.84 and 0.89.
"""


def native_loops_objection(
    input_to_state: Tensor, frozen: Tensor | None, compile: Compile
) -> str | None:
    """Return why these loops cannot take the input, or None if they can."""
    if input_to_state.dtype not in native_cell.NAMES:
        return f"no version for {input_to_state.dtype}"
    if compile not in ("auto", "native"):
        return f"kernel.compile={compile} asks for another cell"
    try:
        compiler.library(SOURCE)
    except CompilerError as error:
        return str(error)
    return mask_objection(frozen)


def too_many_features(call: Call, compile: Compile) -> str | None:
    """Return why `auto` leaves these loops out, or None if it takes them."""
    features = call.gates.shape[-1] // 4
    return f"slower for more than {MAX_FEATURES} features" if features > MAX_FEATURES else None


def forward(
    gates: Tensor,
    weight: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    pad_before: int,
    active: ActivePositions,
    keep: bool,
    buffer: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Do a `interfaces.ForwardLoop`."""
    directions, _, _, batch, width = gates.shape
    exact = state_dtype(gates.dtype)
    hidden = hidden_with_borders(gates, initial_hidden, weight.shape[1], pad_before, active)
    stored, with_state = (sum(active.sizes), active.states) if keep else (0, 0)
    activations = gates.new_empty(directions, stored, batch, width) if buffer is None else buffer
    states = gates.new_empty(directions, with_state, batch, width // 4, dtype=exact)
    weight, initial = weight.contiguous(), initial_cell.to(exact).contiguous()
    kept = (activations, states) if keep else (None, None)
    problem = _problem(gates, None, weight, pad_before, active)
    _call("forward", problem, active, gates, weight, initial, hidden, *kept)
    return hidden, activations, states


def backward(
    grad_output: Tensor,
    weight: Tensor,
    activations: Tensor,
    grad_gates: Tensor,
    grad_input: Tensor | None,
    states: Tensor,
    pad_before: int,
    active: ActivePositions,
) -> Tensor:
    """Do a `interfaces.BackwardLoop`."""
    directions, _, positions, batch, features = grad_output.shape
    grad_cell = states.new_zeros(directions, positions, batch, features)
    weight = weight.contiguous()
    problem = _problem(grad_input, grad_output, weight, pad_before, active)
    inputs = grad_output, weight, activations, states
    _call("backward", problem, active, *inputs, grad_gates, grad_input, grad_cell)
    return grad_cell


LOOPS = Loops(forward, backward)


def in_one_call(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """Return the loops of this module, whatever the arguments, which the objection has seen."""
    return LOOPS


_Problem, _Pointers = ctypes.c_int64 * 16, ctypes.c_void_p * 7


def _problem(
    gates: Tensor | None,
    grad_output: Tensor | None,
    weight: Tensor,
    pad_before: int,
    active: ActivePositions,
) -> ctypes.Array:
    """Return the fields of struct Problem in `lines.hpp`."""
    directions, taps, features, _ = weight.shape
    batch = next(tensor.shape[3] for tensor in (gates, grad_output) if tensor is not None)
    return _Problem(
        *(directions, *active.mask.shape, batch, features, taps, pad_before),
        *(sum(active.sizes), active.states),
        *((0, 0, 0) if gates is None else gates.stride()[:3]),
        *((0, 0, 0) if grad_output is None else grad_output.stride()[:3]),
        torch.get_num_threads(),
    )


def _call(
    name: str, problem: ctypes.Array, active: ActivePositions, first: Tensor, *rest: Tensor | None
) -> None:
    """Call a function of `native_loops.cpp`, in the version for the dtype of the first tensor."""
    run = getattr(compiler.library(SOURCE), f"{name}_{native_cell.NAMES[first.dtype]}")
    tensors = (first, *rest)
    pointers = _Pointers(*(None if tensor is None else tensor.data_ptr() for tensor in tensors))
    run(problem, ctypes.c_void_p(active.table.data_ptr()), pointers)
