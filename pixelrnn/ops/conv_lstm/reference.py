"""The recurrence as a plain loop under autograd (section 3.1, equation 3): the rung to trust.

    [o, f, i, g] = [s, s, s, tanh](K_ss * h_{t-1} + K_is * x_t)        s: logistic
    c_t = f . c_{t-1} + i . g
    h_t = o . tanh(c_t)

Axes: `D` directions, `T` steps, `L` places on a line, `B` batch, `F` features, `K` kernel taps.
"""

import torch
from torch import Tensor


def conv_lstm(
    input_to_state: Tensor,  # (D, T, L, B, 4F)
    state_to_state: Tensor,  # (D, K, F, 4F)
    initial_hidden: Tensor,  # (D, F)
    initial_cell: Tensor,  # (D, F)
    pad_before: int,
    held: Tensor | None,  # (T, L) bool
) -> Tensor:  # (D, T, L, B, F)
    """See `dispatch.conv_lstm`."""
    directions, steps, places, batch, _ = input_to_state.shape
    taps = state_to_state.shape[1]
    first_hidden = initial_hidden[:, None, None, :].expand(directions, places, batch, -1)
    first_cell = initial_cell[:, None, None, :].expand(directions, places, batch, -1)
    before = first_hidden[:, :1].expand(-1, pad_before, -1, -1)
    after = first_hidden[:, :1].expand(-1, taps - 1 - pad_before, -1, -1)

    hidden, cell, outputs = first_hidden, first_cell, []
    for t in range(steps):
        line = torch.cat([before, hidden, after], dim=1)  # (D, L + K - 1, B, F)
        gates = input_to_state[:, t]
        for tap in range(taps):
            window = line[:, tap : tap + places]  # (D, L, B, F)
            gates = gates + torch.einsum("dlbf,dfg->dlbg", window, state_to_state[:, tap])
        o, f, i, g = gates.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        if held is not None:
            hold = held[t][None, :, None, None].to(cell.device)
            cell = torch.where(hold, first_cell, cell)
            hidden = torch.where(hold, first_hidden, hidden)
        outputs.append(hidden)
    return torch.stack(outputs, dim=1)
