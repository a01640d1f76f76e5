"""The gradients that are computed after the backward loop, over all lines at once.

The derivation is in the README. Axes: `D` directions, `T` steps (lines), `L` positions on a line,
`B` batch, `F` features, `K` kernel taps; `N` active positions of all lines
(`active_positions.py`).
"""

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm.active_positions import ActivePositions
from pixelrnn.ops.conv_lstm.cell import state_dtype


def weight_gradient(
    hidden: Tensor, grad_gates: Tensor, taps: int, active: ActivePositions
) -> Tensor:
    """Compute the gradient of the kernel: one product over all positions and lines per tap.

    Args:
        hidden: (D, T + 1, L + K - 1, B, F).
        grad_gates: (D, N, B, 4F).
        taps: K.
        active: which positions were computed.

    Returns:
        (D, K, F, 4F).
    """
    directions, _, borders, _, features = hidden.shape
    gradient = grad_gates.new_empty(directions, taps, features, grad_gates.shape[-1])
    for tap in range(taps):
        lines = hidden[:, :-1, tap : borders - taps + 1 + tap]  # (D, T, L, B, F)
        if not active.all_active:
            computed = zip(lines.unbind(1), active.ranges, strict=True)
            lines = torch.cat([line[:, start:stop] for line, (start, stop) in computed], dim=1)
        read = lines.reshape(directions, -1, features)  # (D, N * B, F)
        torch.bmm(read.transpose(1, 2), grad_gates.flatten(1, 2), out=gradient[:, tap])
    return gradient


def initial_hidden_gradient(
    grad_output: Tensor,  # (D, T, L, B, F)
    grad_gates: Tensor,  # (D, N, B, 4F)
    weight: Tensor,  # (D, K, F, 4F)
    pad_before: int,
    active: ActivePositions,
) -> Tensor:
    """Compute the gradient of the initial h.

    It is read by taps that fall outside the line or on frozen positions, and it is the output at
    frozen positions.

    Returns:
        (D, F), in the dtype of c.
    """
    exact = state_dtype(grad_gates.dtype)
    total = grad_output.new_zeros(grad_output.shape[0], grad_output.shape[-1], dtype=exact)
    device = grad_gates.device
    for tap, readers in enumerate(active.initial_reads(weight.shape[1], pad_before, device)):
        read = grad_gates.index_select(1, readers).sum((1, 2), dtype=exact)
        total += torch.einsum("dg,dfg->df", read, weight[:, tap].to(exact))
    if not active.all_active:
        frozen = active.frozen_index(device)
        total += grad_output.flatten(1, 2).index_select(1, frozen).sum((1, 2), dtype=exact)
    return total
