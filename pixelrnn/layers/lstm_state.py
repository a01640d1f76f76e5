"""The parameters that both recurrences share: state-to-state kernel and learned initial state."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pixelrnn.ops.conv_lstm.dispatch import Kernel, KernelName


@dataclass(kw_only=True, eq=False)
class LSTMSettings:
    """What both recurrent layers can be told.

    Args:
        forget_bias: initial bias of the forget gates.
        learned_initial_state: False starts the recurrence from zero.
        kernel: implementation of the recurrence (`ops.conv_lstm.dispatch.Kernel`, or its name).
    """

    forget_bias: float = 0.0
    learned_initial_state: bool = True
    kernel: Kernel | KernelName = "auto"


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
    """Set the forget gates' part of an input-to-state bias: (directions * 4F,), o, f, i, g each."""
    with torch.no_grad():
        bias.view(-1, 4, hidden)[:, 1] = value
