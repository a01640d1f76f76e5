"""The recurrence as a plain loop under autograd (section 3.1, equation 3): the rung to trust.

    [o, f, i, g] = [s, s, s, tanh](K_ss * h_{t-1} + K_is * x_t)        s: logistic
    c_t = f . c_{t-1} + i . g
    h_t = o . tanh(c_t)

`equation_3` is the definition. Where it is written again for speed, as C++ (`arithmetic.hpp`), in
place (`single_position.py`) and as its derivative (`cell.py`, `arithmetic.hpp`), tests hold the
copies equal to this one.

Axes: `D` directions, `T` steps (lines), `L` positions on a line, `B` batch, `F` features, `K` taps.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class CellOutput(NamedTuple):
    """Gate activations and the state after them, each of the shape of c."""

    o: Tensor
    f: Tensor
    i: Tensor
    g: Tensor
    c: Tensor
    h: Tensor


def equation_3(gates: Tensor, c: Tensor, dim: int = -1) -> CellOutput:
    """Compute one step of the LSTM cell.

    Args:
        gates: (..., 4F) before their nonlinearity, in the order o, f, i, g.
        c: (..., F), the cell state of the line before.
        dim: the axis of features.
    """
    o, f, i, g = gates.chunk(4, dim)
    o, f, i, g = o.sigmoid(), f.sigmoid(), i.sigmoid(), g.tanh()
    c = f * c + i * g
    return CellOutput(o, f, i, g, c, o * c.tanh())


def conv_lstm(
    input_to_state: Tensor,  # (D, T, L, B, 4F)
    state_to_state: Tensor,  # (D, K, F, 4F)
    initial_hidden: Tensor,  # (D, F)
    initial_cell: Tensor,  # (D, F)
    pad_before: int,
    frozen: Tensor | None,  # (T, L) bool
) -> Tensor:  # (D, T, L, B, F)
    """Compute what `dispatch.conv_lstm` describes."""
    directions, steps, positions, batch, _ = input_to_state.shape
    taps = state_to_state.shape[1]
    first_hidden = initial_hidden[:, None, None, :].expand(directions, positions, batch, -1)
    first_cell = initial_cell[:, None, None, :].expand(directions, positions, batch, -1)
    before = first_hidden[:, :1].expand(-1, pad_before, -1, -1)
    after = first_hidden[:, :1].expand(-1, taps - 1 - pad_before, -1, -1)

    hidden, cell, outputs = first_hidden, first_cell, []
    for t in range(steps):
        line = torch.cat([before, hidden, after], dim=1)  # (D, L + K - 1, B, F)
        gates = input_to_state[:, t]
        for tap in range(taps):
            window = line[:, tap : tap + positions]  # (D, L, B, F)
            gates = gates + torch.einsum("dlbf,dfg->dlbg", window, state_to_state[:, tap])
        *_, cell, hidden = equation_3(gates, cell)
        if frozen is not None:
            keep = frozen[t][None, :, None, None].to(cell.device)
            cell = torch.where(keep, first_cell, cell)
            hidden = torch.where(keep, first_hidden, hidden)
        outputs.append(hidden)
    return torch.stack(outputs, dim=1)
