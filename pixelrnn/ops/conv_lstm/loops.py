"""The step loops of the recurrence and of its backward, and the products after them.

Axes: `D` directions, `T` steps, `L` places on a line, `B` batch, `F` features, `K` kernel taps;
`N`: active places of all lines (`plan`). The derivation is in the README.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm import active_places as plans
from pixelrnn.ops.conv_lstm import cell as cells
from pixelrnn.ops.conv_lstm.active_places import Plan
from pixelrnn.ops.conv_lstm.cell import Cell, Compile, state_dtype


@dataclass(frozen=True)
class Loops:
    """Both loops: `forward` and `backward` of this module without `cell`, or what equals them."""

    forward: Callable[..., tuple[Tensor, Tensor, Tensor]]
    backward: Callable[..., Tensor]


def choose(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """The loops of this module, with the cell for tensors of this kind (`cell.choose`)."""
    cell = cells.choose(compile, device_type, dtype)
    return Loops(partial(forward, cell=cell), partial(backward, cell=cell))


def forward(
    gates: Tensor,  # (D, T, L, B, 4F)
    weight: Tensor,  # (D, K, F, 4F)
    initial_hidden: Tensor,  # (D, F)
    initial_cell: Tensor,  # (D, F)
    pad_before: int,
    plan: Plan,
    keep: bool,
    room: Tensor | None,  # (D, N, B, 4F): the gates themselves, to be overwritten
    cell: Cell,
) -> tuple[Tensor, Tensor, Tensor]:
    """All steps.

    Returns:
        Hidden states between their borders, line 0 the initial one: (D, T + 1, L + K - 1, B, F);
        gate activations, (D, N, B, 4F); c of all lines as `Plan.lines` says, (D, S, B, F).
        Without `keep` the last two hold nothing of use.
    """
    directions, _, _, batch, width = gates.shape
    taps = weight.unbind(1)
    hidden = hidden_with_borders(gates, initial_hidden, len(taps), pad_before, plan)
    lines, rows = hidden.unbind(1), hidden.flatten(2, 3).unbind(1)  # rows: ((L + K - 1) * B, F)
    initial = initial_cell.to(state_dtype(gates.dtype))[:, None, None]  # (D, 1, 1, F)
    stored = plan.sizes if keep else [max(plan.sizes)]
    if room is None:
        activations = gates.new_empty(directions, sum(stored), batch, width)
        parts = gates.unbind(1)  # the input's, added by the cell
    else:
        activations = room  # they are there already: the products are added to them
        parts = [gates.new_zeros(1, 1, batch, width).expand_as(gates[:, 0])] * len(plan.lines)
    kept = activations.split(stored, dim=1) if keep else None
    states = initial.new_empty(directions, plan.states, batch, width // 4)
    states[:, : plan.sizes[0]] = initial
    for t, (inputs, line) in enumerate(zip(parts, plan.lines, strict=True)):
        start, size = line.start, line.size
        products = kept[t] if kept else activations.narrow(1, 0, size)  # (D, n, B, 4F)
        flat = products.view(directions, size * batch, width)
        for tap, matrix in enumerate(taps):
            read = rows[t].narrow(1, (start + tap) * batch, size * batch)
            if tap == 0 and room is None:
                torch.bmm(read, matrix, out=flat)
            else:
                flat.baddbmm_(read, matrix)
        cell.forward(
            inputs.narrow(1, start, size),
            products,
            states.narrow(1, line.before, size),
            states.narrow(1, line.state, size),
            lines[t + 1].narrow(1, pad_before + start, size),
        )
        if line.below:
            states[:, line.state - line.below : line.state] = initial
        if line.above:
            states[:, line.state + size : line.state + size + line.above] = initial
    return hidden, activations, states


def backward(
    grad_output: Tensor,  # (D, T, L, B, F)
    weight: Tensor,  # (D, K, F, 4F)
    activations: Tensor,  # (D, N, B, 4F)
    grad_gates: Tensor,  # (D, N, B, 4F), written; may be `activations`
    grad_input: Tensor | None,  # (D, T, L, B, 4F), written where active
    states: Tensor,  # (D, S, B, F)
    pad_before: int,
    plan: Plan,
    cell: Cell,
) -> Tensor:
    """All steps, last to first.

    Returns:
        Gradient of the initial c, place by place: (D, L, B, F).
    """
    directions, steps, places, batch, features = grad_output.shape
    grad_hidden = grad_output.new_zeros(directions, places, batch, features)
    grad_cell = states.new_zeros(directions, places, batch, features)
    taps = weight.transpose(-1, -2).unbind(1)  # K x (D, 4F, F)
    kept, grads = activations.split(plan.sizes, dim=1), grad_gates.split(plan.sizes, dim=1)
    outputs = grad_output.unbind(1)
    inputs = [None] * steps if grad_input is None else grad_input.unbind(1)
    for t, line in reversed(list(enumerate(plan.lines))):
        start, size = line.start, line.size
        cell.backward(
            kept[t],
            grads[t],
            None if grad_input is None else inputs[t].narrow(1, start, size),
            states.narrow(1, line.before, size),
            states.narrow(1, line.state, size),
            outputs[t].narrow(1, start, size),
            grad_hidden.narrow(1, start, size),
            grad_cell.narrow(1, start, size),
        )
        if t > 0:
            _backward_product(grads[t], taps, grad_hidden, pad_before, plan, t)
    return grad_cell


def _backward_product(
    grads: Tensor,  # (D, n, B, 4F) of step t
    taps: tuple[Tensor, ...],  # K x (D, 4F, F)
    grad_hidden: Tensor,  # (D, L, B, F), written where step t - 1 is active
    pad_before: int,
    plan: Plan,
    t: int,
) -> None:
    batch = grads.shape[2]
    start, stop = plan.ranges[t - 1]
    first = plan.ranges[t][0]
    reads = plans.tap_ranges(plan.ranges[t], (start, stop), len(taps), pad_before)
    # A tap that reaches all of the line goes first and overwrites what is there; the others add.
    reads.sort(key=lambda read: read.start - read.stop)
    overwrite = bool(reads) and reads[0].stop - reads[0].start == stop - start
    if not overwrite:
        grad_hidden[:, start:stop] = 0
    sources, targets = grads.flatten(1, 2), grad_hidden.flatten(1, 2)
    for tap, low, high in reads:
        rows = (high - low) * batch
        source = sources.narrow(1, (low - first) * batch, rows)
        target = targets.narrow(1, (low + tap - pad_before) * batch, rows)
        if overwrite:
            torch.bmm(source, taps[tap], out=target)
            overwrite = False
        else:
            target.baddbmm_(source, taps[tap])


def weight_gradient(hidden: Tensor, grad_gates: Tensor, taps: int, plan: Plan) -> Tensor:
    """One product over all places and lines per tap.

    Args:
        hidden: (D, T + 1, L + K - 1, B, F).
        grad_gates: (D, N, B, 4F).
        taps: K.
        plan: active places.

    Returns:
        (D, K, F, 4F).
    """
    directions, _, borders, _, features = hidden.shape
    gradient = grad_gates.new_empty(directions, taps, features, grad_gates.shape[-1])
    for tap in range(taps):
        lines = hidden[:, :-1, tap : borders - taps + 1 + tap]  # (D, T, L, B, F)
        if not plan.whole:
            active = zip(lines.unbind(1), plan.ranges, strict=True)
            lines = torch.cat([line[:, start:stop] for line, (start, stop) in active], dim=1)
        read = lines.reshape(directions, -1, features)  # (D, N * B, F)
        torch.bmm(read.transpose(1, 2), grad_gates.flatten(1, 2), out=gradient[:, tap])
    return gradient


def initial_hidden_gradient(
    grad_output: Tensor,  # (D, T, L, B, F)
    grad_gates: Tensor,  # (D, N, B, 4F)
    weight: Tensor,  # (D, K, F, 4F)
    pad_before: int,
    plan: Plan,
) -> Tensor:
    """What reads the initial h: taps that fall outside, and the output at held places.

    Returns:
        (D, F), in the dtype of c.
    """
    exact = state_dtype(grad_gates.dtype)
    total = grad_output.new_zeros(grad_output.shape[0], grad_output.shape[-1], dtype=exact)
    device = grad_gates.device
    for tap, places in enumerate(plan.initial_reads(weight.shape[1], pad_before, device)):
        read = grad_gates.index_select(1, places).sum((1, 2), dtype=exact)
        total += torch.einsum("dg,dfg->df", read, weight[:, tap].to(exact))
    if not plan.whole:
        held = plan.held_index(device)
        total += grad_output.flatten(1, 2).index_select(1, held).sum((1, 2), dtype=exact)
    return total


def hidden_with_borders(
    gates: Tensor, initial_hidden: Tensor, taps: int, pad_before: int, plan: Plan
) -> Tensor:
    """(D, T + 1, L + K - 1, B, F): the initial state wherever no step writes, else not written."""
    directions, steps, places, batch, width = gates.shape
    hidden = gates.new_empty(directions, steps + 1, places + taps - 1, batch, width // 4)
    initial = initial_hidden.to(gates.dtype)[:, None, None, None]
    if plan.whole:
        hidden[:, :1] = initial
        hidden[:, 1:, :pad_before] = initial
        hidden[:, 1:, pad_before + places :] = initial
    else:
        hidden[:] = initial
    return hidden
