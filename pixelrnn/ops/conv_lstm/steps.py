"""The step loops of the recurrence and of its backward, and the products after them.

Axes: `D` directions, `T` steps, `L` places on a line, `B` batch, `F` features, `K` kernel taps;
`N`: active places of all lines (`plan`). The derivation is in the README.
"""

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm import plan as plans
from pixelrnn.ops.conv_lstm.cell import Cell, state_dtype
from pixelrnn.ops.conv_lstm.plan import Plan


def forward(
    gates: Tensor,  # (D, T, L, B, 4F)
    weight: Tensor,  # (D, K, F, 4F)
    initial_hidden: Tensor,  # (D, F)
    initial_cell: Tensor,  # (D, F)
    pad_before: int,
    plan: Plan,
    cell: Cell,
    keep: bool,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """All steps.

    Returns:
        Hidden states between their borders, line 0 the initial one: (D, T + 1, L + K - 1, B, F);
        gate activations, (D, N * B, 4F); c of every line over `Plan.spans`, the initial line first.
        Without `keep` the last two hold nothing of use.
    """
    directions, _, places, batch, width = gates.shape
    weights = weight.unbind(1)
    hidden = _hidden_with_borders(gates, initial_hidden, len(weights), pad_before)
    first_hidden = initial_hidden.to(gates.dtype)[:, None, None]  # (D, 1, 1, F)
    first_cell = initial_cell.to(state_dtype(gates.dtype))[:, None, None]
    stored = plan.offsets[-1] if keep else max(stop - start for start, stop in plan.ranges)
    activations = gates.new_empty(directions, stored * batch, width)
    states = [first_cell.repeat(1, plan.ranges[0][1] - plan.ranges[0][0], batch, 1)]
    before = states[0]
    for t, (start, stop) in enumerate(plan.ranges):
        offset = plan.offsets[t] * batch if keep else 0
        rows = activations[:, offset : offset + (stop - start) * batch]
        line = hidden[:, t]
        torch.bmm(line[:, start:stop].flatten(1, 2), weights[0], out=rows)
        for tap in range(1, len(weights)):
            rows.baddbmm_(line[:, start + tap : stop + tap].flatten(1, 2), weights[tap])
        low, high = plan.spans[t]
        state = first_cell.new_empty(directions, high - low, batch, width // 4)
        following = hidden[:, t + 1, pad_before : pad_before + places]
        cell.forward(
            gates[:, t, start:stop],
            rows.unflatten(1, (stop - start, batch)),
            before,
            state[:, start - low : stop - low],
            following[:, start:stop],
        )
        if not plan.whole:
            _hold(state, start - low, stop - low, first_cell)
            _hold(following, start, stop, first_hidden)
        if t + 1 < len(plan.ranges):
            start, stop = plan.ranges[t + 1]
            before = state[:, start - low : stop - low]
        if keep:
            states.append(state)
    return hidden, activations, states


def backward(
    grad_output: Tensor,  # (D, T, L, B, F)
    weight: Tensor,  # (D, K, F, 4F)
    activations: Tensor,  # (D, N * B, 4F)
    grad_gates: Tensor,  # (D, N * B, 4F), written; may be `activations`
    grad_input: Tensor | None,  # (D, T, L, B, 4F), written where active
    states: list[Tensor],
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
    grad_cell = states[0].new_zeros(directions, places, batch, features)
    transposed = weight.transpose(-1, -2).unbind(1)  # K x (D, 4F, F)
    for t in reversed(range(steps)):
        start, stop = plan.ranges[t]
        rows = slice(plan.offsets[t] * batch, plan.offsets[t + 1] * batch)
        grads = grad_gates[:, rows].unflatten(1, (stop - start, batch))
        low = plan.spans[t][0]
        low_before = plan.spans[t - 1][0] if t > 0 else start
        cell.backward(
            activations[:, rows].unflatten(1, (stop - start, batch)),
            grads,
            None if grad_input is None else grad_input[:, t, start:stop],
            states[t][:, start - low_before : stop - low_before],
            states[t + 1][:, start - low : stop - low],
            grad_output[:, t, start:stop],
            grad_hidden[:, start:stop],
            grad_cell[:, start:stop],
        )
        if t > 0:
            _backward_product(grads, transposed, grad_hidden, pad_before, plan, t)
    return grad_cell


def _backward_product(
    grads: Tensor,  # (D, n, B, 4F) of step t
    transposed: tuple[Tensor, ...],  # K x (D, 4F, F)
    grad_hidden: Tensor,  # (D, L, B, F), written where step t - 1 is active
    pad_before: int,
    plan: Plan,
    t: int,
) -> None:
    start, stop = plan.ranges[t - 1]
    first = plan.ranges[t][0]
    reads = plans.tap_ranges(plan.ranges[t], (start, stop), len(transposed), pad_before)
    # A tap that reaches all of the line goes first and overwrites what is there; the others add.
    reads.sort(key=lambda read: read.start - read.stop)
    overwrite = bool(reads) and reads[0].stop - reads[0].start == stop - start
    if not overwrite:
        grad_hidden[:, start:stop] = 0
    for tap, low, high in reads:
        source = grads[:, low - first : high - first].flatten(1, 2)
        shift = tap - pad_before
        target = grad_hidden[:, low + shift : high + shift].flatten(1, 2)
        if overwrite:
            torch.bmm(source, transposed[tap], out=target)
            overwrite = False
        else:
            target.baddbmm_(source, transposed[tap])


def weight_gradient(hidden: Tensor, grad_gates: Tensor, taps: int, plan: Plan) -> Tensor:
    """One product over all places and lines per tap.

    Args:
        hidden: (D, T + 1, L + K - 1, B, F).
        grad_gates: (D, N * B, 4F).
        taps: K.
        plan: active places.

    Returns:
        (D, K, F, 4F).
    """
    directions, _, borders, _, features = hidden.shape
    gradient = grad_gates.new_empty(directions, taps, features, grad_gates.shape[-1])
    for tap in range(taps):
        if plan.whole:
            places = borders - taps + 1
            read = hidden[:, :-1, tap : tap + places].reshape(directions, -1, features)
        else:
            lines = [
                hidden[:, t, start + tap : stop + tap].flatten(1, 2)
                for t, (start, stop) in enumerate(plan.ranges)
            ]
            read = torch.cat(lines, dim=1)  # (D, N * B, F)
        torch.bmm(read.transpose(1, 2), grad_gates, out=gradient[:, tap])
    return gradient


def initial_hidden_gradient(
    grad_output: Tensor,  # (D, T, L, B, F)
    grad_gates: Tensor,  # (D, N * B, 4F)
    weight: Tensor,  # (D, K, F, 4F)
    pad_before: int,
    plan: Plan,
) -> Tensor:
    """What reads the initial h: taps that fall outside, and the output at held places.

    Returns:
        (D, F), in the dtype of c.
    """
    batch = grad_output.shape[3]
    exact = state_dtype(grad_gates.dtype)
    total = grad_output.new_zeros(grad_output.shape[0], grad_output.shape[-1], dtype=exact)
    by_place = grad_gates.unflatten(1, (-1, batch))  # (D, N, B, 4F)
    for tap, places in enumerate(plan.initial_reads(weight.shape[1], pad_before)):
        read = by_place.index_select(1, places.to(grad_gates.device)).sum((1, 2), dtype=exact)
        total += torch.einsum("dg,dfg->df", read, weight[:, tap].to(exact))
    if not plan.whole:
        held = plan.held_index.to(grad_output.device)
        total += grad_output.flatten(1, 2).index_select(1, held).sum((1, 2), dtype=exact)
    return total


def _hidden_with_borders(
    gates: Tensor, initial_hidden: Tensor, taps: int, pad_before: int
) -> Tensor:
    """(D, T + 1, L + K - 1, B, F): borders and first line written, the rest not."""
    directions, steps, places, batch, width = gates.shape
    hidden = gates.new_empty(directions, steps + 1, places + taps - 1, batch, width // 4)
    first = initial_hidden.to(gates.dtype)[:, None, None, None]
    hidden[:, :1] = first
    hidden[:, 1:, :pad_before] = first
    hidden[:, 1:, pad_before + places :] = first
    return hidden


def _hold(line: Tensor, start: int, stop: int, initial: Tensor) -> None:
    """Write the initial state outside [start, stop): line (D, places, B, F)."""
    if start > 0:
        line[:, :start] = initial
    if stop < line.shape[1]:
        line[:, stop:] = initial
