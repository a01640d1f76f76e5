"""The recurrence with a hand-written backward: few large products, nothing stored twice.

The derivation is in the README. Axes: `D` directions, `T` steps (lines), `L` positions on a line,
`B` batch, `F` features, `K` kernel taps; `N` active positions of all lines, `S` positions whose c
is stored (`active_positions.py`).
"""

from typing import Any

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm.active_positions import (
    ActivePositions,
    active_positions,
    disjoint,
    mask_objection,
)
from pixelrnn.ops.conv_lstm.gradients import initial_hidden_gradient, weight_gradient
from pixelrnn.ops.conv_lstm.interfaces import Compile, Loops, LoopsFor
from pixelrnn.ops.conv_lstm.loops import line_by_line

DTYPES = (torch.float32, torch.bfloat16, torch.float64)

_graph_is_kept = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
"""Asked in a backward: may it run again? If not, what it saved can be overwritten."""


def autograd_objection(
    input_to_state: Tensor, frozen: Tensor | None, compile: Compile
) -> str | None:
    """Return why this rung cannot take the input, or None if it can."""
    if input_to_state.dtype not in DTYPES:
        return f"no version for {input_to_state.dtype}"
    return mask_objection(frozen)


def conv_lstm(
    input_to_state: Tensor,  # (D, T, L, B, 4F)
    state_to_state: Tensor,  # (D, K, F, 4F)
    initial_hidden: Tensor,  # (D, F)
    initial_cell: Tensor,  # (D, F)
    pad_before: int,
    frozen: Tensor | None,  # (T, L) bool, on the CPU
    compile: Compile = "auto",
    overwrite: bool = False,
    loops_for: LoopsFor = line_by_line,
) -> Tensor:  # (D, T, L, B, F)
    """Compute what `dispatch.conv_lstm` describes, with the loops of `loops_for`.

    Under autocast products are in its dtype, c in float32.
    """
    device = input_to_state.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        input_to_state, state_to_state = input_to_state.to(dtype), state_to_state.to(dtype)
    inputs = (input_to_state, state_to_state, initial_hidden, initial_cell)
    active = active_positions(frozen, *input_to_state.shape[1:3])
    loops = loops_for(compile, device, input_to_state.dtype)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    with torch.autocast(device, enabled=False):
        return _ConvLSTM.apply(*inputs, pad_before, active, loops, keep, overwrite)


class _ConvLSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        input_to_state: Tensor,
        state_to_state: Tensor,
        initial_hidden: Tensor,
        initial_cell: Tensor,
        pad_before: int,
        active: ActivePositions,
        loops: Loops,
        keep: bool,
        overwrite: bool,
    ) -> Tensor:
        gates = laid_out(input_to_state, active)
        # Where all positions are active, the gates are laid out as their activations are kept.
        reuse = overwrite and keep and active.all_active and gates.is_contiguous()
        buffer = gates.data.flatten(1, 2) if reuse else None  # .data: as if the memory were new
        hidden, activations, states = loops.forward(
            gates, state_to_state, initial_hidden, initial_cell, pad_before, active, keep, buffer
        )
        if keep:
            ctx.save_for_backward(state_to_state, hidden, activations, states)
            ctx.layout = gates.shape, gates.stride()
            ctx.initial_dtypes = initial_hidden.dtype, initial_cell.dtype
            ctx.options = pad_before, active, loops
        return hidden[:, 1:, pad_before : pad_before + gates.shape[2]]

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "this conv_lstm kernel has no second derivative (create_graph=True): "
                "choose kernel.name=reference"
            )
        weight, hidden, activations, states = ctx.saved_tensors
        pad_before, active, loops = ctx.options
        grad_gates = torch.empty_like(activations) if _graph_is_kept() else activations
        shape, strides = ctx.layout
        grad_input = input_gradient(grad_gates, shape, strides, active)
        grad_output = _rows_contiguous(grad_output)
        with torch.autocast(grad_output.device.type, enabled=False):
            separate = None if active.all_active else grad_input
            grad_cell = loops.backward(
                *(grad_output, weight, activations, grad_gates, separate, states),
                *(pad_before, active),
            )
            grad_weight = weight_gradient(hidden, grad_gates, weight.shape[1], active)
            grad_hidden = initial_hidden_gradient(
                grad_output, grad_gates, weight, pad_before, active
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
    """Return the tensor, copied unless batch and features are contiguous."""
    expected = tensor.shape[-1], 1
    return tensor if tensor.stride()[-2:] == expected else tensor.contiguous()


def laid_out(gates: Tensor, active: ActivePositions) -> Tensor:
    """Return the gates as loops take them, copied if need be.

    Batch and features are contiguous, and active positions do not overlap: each has a gradient of
    its own.
    """
    gates = _rows_contiguous(gates)
    directions, steps, positions, batch, width = gates.shape
    direction, line, position = gates.stride()[:3]
    line_up = directions == 1 or direction >= (steps - 1) * line + (positions - 1) * position
    if gates.is_contiguous() or (line_up and disjoint(active, line, position, batch * width)):
        return gates
    return gates.contiguous()


def input_gradient(
    grad_gates: Tensor, shape: torch.Size, strides: tuple[int, ...], active: ActivePositions
) -> Tensor:
    """Return `grad_gates` itself, or, where positions are frozen, memory for the input's gradient.

    A skewed view of an image gets a gradient laid out the same way, so that taking the view back
    copies nothing. There active positions fill the storage; elsewhere frozen ones must be zero.
    """
    if active.all_active:
        return grad_gates.view(shape)
    gradient = grad_gates.new_empty_strided(shape, strides)
    if gradient.untyped_storage().nbytes() != grad_gates.untyped_storage().nbytes():
        gradient.zero_()
    return gradient
