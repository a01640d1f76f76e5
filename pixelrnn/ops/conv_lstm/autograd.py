"""The recurrence with a hand-written backward: few large products, nothing stored twice.

Axes: `D` directions, `T` steps, `L` places on a line, `B` batch, `F` features, `K` kernel taps;
`N`: active places of all lines (`plan`). The derivation is in the README.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm import active_places as plans
from pixelrnn.ops.conv_lstm import loops as plain_loops
from pixelrnn.ops.conv_lstm.active_places import Plan
from pixelrnn.ops.conv_lstm.cell import Compile
from pixelrnn.ops.conv_lstm.loops import Loops

DTYPES = (torch.float32, torch.bfloat16, torch.float64)

_graph_is_kept = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
"""Asked in a backward: may it run again? If not, what it saved can be overwritten."""


def supports(input_to_state: Tensor, held: Tensor | None, compile: Compile) -> str | None:
    """What stands against this rung, or None."""
    if input_to_state.dtype not in DTYPES:
        return f"no version for {input_to_state.dtype}"
    return plans.problem(held)


def conv_lstm(
    input_to_state: Tensor,  # (D, T, L, B, 4F)
    state_to_state: Tensor,  # (D, K, F, 4F)
    initial_hidden: Tensor,  # (D, F)
    initial_cell: Tensor,  # (D, F)
    pad_before: int,
    held: Tensor | None,  # (T, L) bool, on the CPU
    compile: Compile = "auto",
    overwrite: bool = False,
    choose_loops: Callable[[Compile, str, torch.dtype], Loops] = plain_loops.choose,
) -> Tensor:  # (D, T, L, B, F)
    """See `dispatch.conv_lstm`. Under autocast products are in its dtype, c in float32.

    `choose_loops` takes `compile`, the type of the device and the dtype of the products.
    """
    device = input_to_state.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        input_to_state, state_to_state = input_to_state.to(dtype), state_to_state.to(dtype)
    inputs = (input_to_state, state_to_state, initial_hidden, initial_cell)
    plan = plans.make(held, *input_to_state.shape[1:3])
    loops = choose_loops(compile, device, input_to_state.dtype)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    with torch.autocast(device, enabled=False):
        return _ConvLSTM.apply(*inputs, pad_before, plan, loops, keep, overwrite)


class _ConvLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        input_to_state: Tensor,
        state_to_state: Tensor,
        initial_hidden: Tensor,
        initial_cell: Tensor,
        pad_before: int,
        plan: Plan,
        loops: Loops,
        keep: bool,
        overwrite: bool,
    ) -> Tensor:
        gates = _places_apart(_rows_contiguous(input_to_state), plan)
        # Where all places are active, the gates are laid out as their activations are kept.
        reuse = overwrite and keep and plan.whole and gates.is_contiguous()
        room = gates.data.flatten(1, 2) if reuse else None  # .data: as if the memory were new
        hidden, activations, states = loops.forward(
            gates, state_to_state, initial_hidden, initial_cell, pad_before, plan, keep, room
        )
        if keep:
            ctx.save_for_backward(state_to_state, hidden, activations, states)
            ctx.layout = gates.shape, gates.stride()
            ctx.initial_dtypes = initial_hidden.dtype, initial_cell.dtype
            ctx.options = pad_before, plan, loops
        return hidden[:, 1:, pad_before : pad_before + gates.shape[2]]

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "this conv_lstm kernel has no second derivative (create_graph=True): "
                "choose kernel.name=reference"
            )
        weight, hidden, activations, states = ctx.saved_tensors
        pad_before, plan, loops = ctx.options
        grad_gates = torch.empty_like(activations) if _graph_is_kept() else activations
        grad_input = _grad_input(grad_gates, *ctx.layout, plan)
        grad_output = _rows_contiguous(grad_output)
        with torch.autocast(grad_output.device.type, enabled=False):
            separate = None if plan.whole else grad_input
            grad_cell = loops.backward(
                *(grad_output, weight, activations, grad_gates, separate, states),
                *(pad_before, plan),
            )
            grad_weight = plain_loops.weight_gradient(hidden, grad_gates, weight.shape[1], plan)
            grad_hidden = plain_loops.initial_hidden_gradient(
                grad_output, grad_gates, weight, pad_before, plan
            )
        hidden_dtype, cell_dtype = ctx.initial_dtypes
        return (
            grad_input,
            grad_weight,
            grad_hidden.to(hidden_dtype),
            grad_cell.sum((1, 2)).to(cell_dtype),
            *[None] * 5,
        )


def _rows_contiguous(tensor: Tensor) -> Tensor:
    """The tensor, copied unless batch and features are contiguous."""
    expected = tensor.shape[-1], 1
    return tensor if tensor.stride()[-2:] == expected else tensor.contiguous()


def _places_apart(gates: Tensor, plan: Plan) -> Tensor:
    """The gates, copied if active places overlap: each must have room for its own gradient."""
    directions, steps, places, batch, width = gates.shape
    direction, line, place = gates.stride()[:3]
    line_up = directions == 1 or direction >= (steps - 1) * line + (places - 1) * place
    if gates.is_contiguous() or (line_up and plans.apart(plan, line, place, batch * width)):
        return gates
    return gates.contiguous()


def _grad_input(
    grad_gates: Tensor, shape: torch.Size, strides: tuple[int, ...], plan: Plan
) -> Tensor:
    """The gradient of the input: `grad_gates` itself, or, where places are held, room for it.

    A skewed view of an image gets a gradient laid out the same way, so that taking the view back
    copies nothing. There active places fill the storage; elsewhere held places must be zero.
    """
    if plan.whole:
        return grad_gates.view(shape)
    room = grad_gates.new_empty_strided(shape, strides)
    if room.untyped_storage().nbytes() != grad_gates.untyped_storage().nbytes():
        room.zero_()
    return room
