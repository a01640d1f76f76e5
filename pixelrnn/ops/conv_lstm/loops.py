"""The step loops of the recurrence and of its backward, line by line.

The derivation is in the README. Axes: `D` directions, `T` steps (lines), `L` positions on a line,
`B` batch, `F` features, `K` kernel taps; `N` active positions of all lines, `S` positions whose c
is stored (`active_positions.py`).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm.active_positions import ActivePositions, tap_ranges
from pixelrnn.ops.conv_lstm.cell import cell_for, state_dtype
from pixelrnn.ops.conv_lstm.interfaces import Cell, Compile, Loops


def line_by_line(compile: Compile, device_type: str, dtype: torch.dtype) -> Loops:
    """Return the loops of this module, with the cell that `cell_for` returns."""
    cell = cell_for(compile, device_type, dtype)
    return Loops(partial(forward, cell=cell), partial(backward, cell=cell))


def forward(
    gates: Tensor,
    weight: Tensor,
    initial_hidden: Tensor,
    initial_cell: Tensor,
    pad_before: int,
    active: ActivePositions,
    keep: bool,
    buffer: Tensor | None,
    *,
    cell: Cell,
) -> tuple[Tensor, Tensor, Tensor]:
    """Do a `ForwardLoop`: per line one product for each tap, then the cell."""
    directions, _, _, batch, width = gates.shape
    taps = weight.unbind(1)
    hidden = hidden_with_borders(gates, initial_hidden, len(taps), pad_before, active)
    lines, rows = hidden.unbind(1), hidden.flatten(2, 3).unbind(1)  # rows: ((L + K - 1) * B, F)
    initial = initial_cell.to(state_dtype(gates.dtype))[:, None, None]  # (D, 1, 1, F)
    stored = active.sizes if keep else [max(active.sizes)]
    if buffer is None:
        activations = gates.new_empty(directions, sum(stored), batch, width)
        parts = list(gates.unbind(1))  # the input's, added by the cell
    else:
        activations = buffer  # they are there already: the products are added to them
        parts = [gates.new_zeros(1, 1, batch, width).expand_as(gates[:, 0])] * len(active.lines)
    kept = activations.split(stored, dim=1) if keep else None
    states = initial.new_empty(directions, active.states, batch, width // 4)
    states[:, : active.sizes[0]] = initial
    for t, (inputs, line) in enumerate(zip(parts, active.lines, strict=True)):
        start, size = line.start, line.size
        products = kept[t] if kept else activations.narrow(1, 0, size)  # (D, n, B, 4F)
        _forward_product(rows[t], taps, products, start, overwrite=buffer is None)
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


def _forward_product(
    rows: Tensor,  # (D, (L + K - 1) * B, F), h of the line before and its borders
    taps: Sequence[Tensor],  # K x (D, F, 4F)
    products: Tensor,  # (D, n, B, 4F)
    start: int,
    overwrite: bool,
) -> None:
    """Write what the active positions from `start` on read of the line before, or add it."""
    directions, size, batch, width = products.shape
    flat = products.view(directions, size * batch, width)
    for tap, matrix in enumerate(taps):
        read = rows.narrow(1, (start + tap) * batch, size * batch)
        if tap == 0 and overwrite:
            torch.bmm(read, matrix, out=flat)
        else:
            flat.baddbmm_(read, matrix)


def backward(
    grad_output: Tensor,
    weight: Tensor,
    activations: Tensor,
    grad_gates: Tensor,
    grad_input: Tensor | None,
    states: Tensor,
    pad_before: int,
    active: ActivePositions,
    *,
    cell: Cell,
) -> Tensor:
    """Do a `BackwardLoop`: per line the cell, then one transposed product for each tap."""
    directions, _, positions, batch, features = grad_output.shape
    grad_hidden = grad_output.new_zeros(directions, positions, batch, features)
    grad_cell = states.new_zeros(directions, positions, batch, features)
    taps = weight.transpose(-1, -2).unbind(1)  # K x (D, 4F, F)
    kept, grads = activations.split(active.sizes, dim=1), grad_gates.split(active.sizes, dim=1)
    outputs = grad_output.unbind(1)
    for t, line in reversed(list(enumerate(active.lines))):
        start, size = line.start, line.size
        cell.backward(
            kept[t],
            grads[t],
            None if grad_input is None else grad_input[:, t, start : start + size],
            states.narrow(1, line.before, size),
            states.narrow(1, line.state, size),
            outputs[t].narrow(1, start, size),
            grad_hidden.narrow(1, start, size),
            grad_cell.narrow(1, start, size),
        )
        if t > 0:
            _backward_product(grads[t], taps, grad_hidden, pad_before, active, t)
    return grad_cell


def _backward_product(
    grads: Tensor,  # (D, n, B, 4F) of step t
    taps: Sequence[Tensor],  # K x (D, 4F, F)
    grad_hidden: Tensor,  # (D, L, B, F), written where step t - 1 is active
    pad_before: int,
    active: ActivePositions,
    t: int,
) -> None:
    """Write what line t sends back to line t - 1."""
    batch = grads.shape[2]
    start, stop = active.ranges[t - 1]
    first = active.ranges[t][0]
    reads = tap_ranges(active.ranges[t], (start, stop), len(taps), pad_before)
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


def hidden_with_borders(
    gates: Tensor, initial_hidden: Tensor, taps: int, pad_before: int, active: ActivePositions
) -> Tensor:
    """Return memory for all hidden states and borders: (D, T + 1, L + K - 1, B, F).

    It holds the initial h wherever no step writes, and nothing of use elsewhere.
    """
    directions, steps, positions, batch, width = gates.shape
    hidden = gates.new_empty(directions, steps + 1, positions + taps - 1, batch, width // 4)
    initial = initial_hidden.to(gates.dtype)[:, None, None, None]
    if active.all_active:
        hidden[:, :1] = initial
        hidden[:, 1:, :pad_before] = initial
        hidden[:, 1:, pad_before + positions :] = initial
    else:
        hidden[:] = initial
    return hidden
