"""The parameters that both recurrences share: state-to-state kernel and learned initial state."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LSTMState(nn.Module):
    """State-to-state kernel (unmasked: it reads earlier pixels only) and initial h and c.

    The initial state is one vector per direction, broadcast over positions, so that a model works
    at every image size (the paper learns it, section 5.2, and gives no shape).

    Args:
        directions: 1, or 2 for the Diagonal BiLSTM.
        taps: size of the state-to-state kernel along the line.
        hidden: features F.
        learned_initial_state: False keeps h and c at zero.
    """

    def __init__(
        self, directions: int, taps: int, hidden: int, learned_initial_state: bool
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(taps * hidden)
        weight = torch.empty(directions, taps, hidden, 4 * hidden).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)  # (D, K, F, 4F)
        zeros = torch.zeros(directions, hidden)
        self.hidden = nn.Parameter(zeros.clone(), requires_grad=learned_initial_state)
        self.cell = nn.Parameter(zeros.clone(), requires_grad=learned_initial_state)


def set_forget_bias(bias: Tensor, hidden: int, value: float) -> None:
    """Set the forget gates' part of an input-to-state bias, (blocks of o, f, i, g) flattened."""
    with torch.no_grad():
        bias.view(-1, 4, hidden)[:, 1] = value


class CellStep(NamedTuple):
    """Equation 3 at one pixel, in place, for the features n of one colour group.

    Views of the buffers of a step: they are made once, and computed on for every row.
    """

    logistic: Tensor  # (B, 3n): o, f, i
    o: Tensor
    f: Tensor
    i: Tensor
    g: Tensor
    cell: Tensor  # (B, n): c before, c after
    hidden: Tensor  # (B, n): h after

    @classmethod
    def of(cls, gates: Tensor, cell: Tensor, hidden: Tensor) -> "CellStep":
        """Gates (B, 4n) in the order o, f, i, g."""
        n = cell.shape[-1]
        return cls(gates[:, : 3 * n], *gates.split(n, dim=-1) if n else [gates] * 4, cell, hidden)

    def advance(self) -> Tensor:
        """Gates before their nonlinearity and c before -> c and h, (B, n)."""
        self.logistic.sigmoid_()
        self.g.tanh_()
        self.cell.mul_(self.f).addcmul_(self.i, self.g)
        torch.tanh(self.cell, out=self.hidden)
        return self.hidden.mul_(self.o)


def cell_steps(
    gates: list[list[Tensor]], cells: list[list[Tensor]], hiddens: list[list[Tensor]]
) -> list[list[CellStep]]:
    """`CellStep`s of a row, from views [column][group] of its gates, cells and hidden states."""
    return [
        [CellStep.of(*buffers) for buffers in zip(*columns, strict=True)]
        for columns in zip(gates, cells, hiddens, strict=True)
    ]
