"""What the parts of a rung are: a cell, which does one line, and loops, which do all of them.

Each is a pair of functions, forward and backward. They write into tensors that they are given.

Axes: `D` directions, `T` steps (lines), `L` positions on a line, `B` batch, `F` features, `K` taps;
`n` active positions of one line, `N` of all lines, `S` positions whose c is stored
(`active_positions.py`). Gates and their activations are in the order o, f, i, g.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pixelrnn.ops.conv_lstm.active_positions import ActivePositions

Compile = Literal["auto", "native", "inductor", "none"]
"""native: one C++ pass, CPU. inductor: torch.compile. none: torch operations one by one."""


@dataclass(frozen=True)
class Call:
    """The arguments of `dispatch.conv_lstm`, checked: what rungs are chosen by.

    Attributes:
        gates: (D, T, L, B, 4F), the input's part.
        weight: (D, K, F, 4F), the state-to-state kernel.
        initial_hidden: (D, F).
        initial_cell: (D, F).
        pad_before: positions of padding before the line.
        frozen: (T, L) bool on the CPU, or None.
    """

    gates: Tensor
    weight: Tensor
    initial_hidden: Tensor
    initial_cell: Tensor
    pad_before: int
    frozen: Tensor | None

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a gradient may be asked of."""
        return self.gates, self.weight, self.initial_hidden, self.initial_cell


class ForwardPass(Protocol):
    """Equation 3 at the active positions of one line."""

    def __call__(
        self, gates: Tensor, products: Tensor, before: Tensor, cell: Tensor, hidden: Tensor, /
    ) -> None:
        """Write activations, c and h.

        Args:
            gates: (D, n, B, 4F), the input's part.
            products: (D, n, B, 4F), the state's part; overwritten by the activations.
            before: (D, n, B, F), c of the line before.
            cell: (D, n, B, F), written: c.
            hidden: (D, n, B, F), written: h.
        """


class BackwardPass(Protocol):
    """The derivative of `ForwardPass`."""

    def __call__(
        self,
        activations: Tensor,
        grad_gates: Tensor,
        grad_input: Tensor | None,
        before: Tensor,
        cell: Tensor,
        grad_output: Tensor,
        grad_hidden: Tensor,
        grad_cell: Tensor,
        /,
    ) -> None:
        """Write the gradients of the gates and of c of the line before.

        Args:
            activations: (D, n, B, 4F), as the forward pass left them.
            grad_gates: (D, n, B, 4F), written; may be `activations` itself.
            grad_input: (D, n, B, 4F), a second tensor for the same values, or None.
            before: (D, n, B, F), c of the line before.
            cell: (D, n, B, F), c.
            grad_output: (D, n, B, F), the gradient of h from the layer above.
            grad_hidden: (D, n, B, F), the gradient of h from the line after.
            grad_cell: (D, n, B, F), the gradient of c from the line after; becomes that of
                `before`.
        """


@dataclass(frozen=True)
class Cell:
    """Both passes over one line. They write into tensors they are given and return nothing."""

    name: str
    forward: ForwardPass
    backward: BackwardPass


class ForwardLoop(Protocol):
    """All steps of the recurrence, first to last."""

    def __call__(
        self,
        gates: Tensor,
        weight: Tensor,
        initial_hidden: Tensor,
        initial_cell: Tensor,
        pad_before: int,
        active: ActivePositions,
        keep: bool,
        buffer: Tensor | None,
        /,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the hidden states and what the backward pass needs.

        Args:
            gates: (D, T, L, B, 4F), the input's part.
            weight: (D, K, F, 4F), the state-to-state kernel.
            initial_hidden: (D, F).
            initial_cell: (D, F).
            pad_before: positions of padding before the line.
            active: which positions are computed.
            keep: whether a backward pass follows.
            buffer: (D, N, B, 4F), the memory of `gates`, to be overwritten by the activations; or
                None: they get memory of their own.

        Returns:
            Hidden states between their borders, line 0 the initial one: (D, T + 1, L + K - 1, B,
            F); gate activations, (D, N, B, 4F); c of all lines, laid out as
            `ActivePositions.lines` says, (D, S, B, F). Without `keep` the last two are not set.
        """


class BackwardLoop(Protocol):
    """The derivative of all steps, last to first."""

    def __call__(
        self,
        grad_output: Tensor,
        weight: Tensor,
        activations: Tensor,
        grad_gates: Tensor,
        grad_input: Tensor | None,
        states: Tensor,
        pad_before: int,
        active: ActivePositions,
        /,
    ) -> Tensor:
        """Write the gradients of the gates.

        Args:
            grad_output: (D, T, L, B, F).
            weight: (D, K, F, 4F), the state-to-state kernel.
            activations: (D, N, B, 4F), of the forward loop.
            grad_gates: (D, N, B, 4F), written; may be `activations` itself.
            grad_input: (D, T, L, B, 4F), the same values, written where active; or None.
            states: (D, S, B, F), of the forward loop.
            pad_before: positions of padding before the line.
            active: which positions were computed.

        Returns:
            Gradient of the initial c, position by position: (D, L, B, F).
        """


@dataclass(frozen=True)
class Loops:
    """Both loops of one implementation."""

    forward: ForwardLoop
    backward: BackwardLoop


LoopsFor = Callable[[Compile, str, torch.dtype], Loops]
"""Returns the loops for `kernel.compile`, a type of device, and a dtype of the products."""
