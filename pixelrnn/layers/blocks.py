"""Residual blocks (section 3.3, figure 5). The stream is 2h wide, the inside of a block h."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pixelrnn.layers.apply import Run
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.masked_conv import MaskedConv2d


class Block(nn.Module, ABC):
    """A part of a network that is written over `run`, like the network itself."""

    @abstractmethod
    def compose(self, x: Tensor, run: Run) -> Tensor:
        """Apply the block: (..., 2h) -> (..., 2h)."""


class LSTMBlock(Block):
    """A recurrent block: LSTM to h, 1x1 mask B back to 2h, then the input is added.

    Args:
        lstm: a layer from 2h to h features.
        hidden: h.
        color_groups: number of colours that see each other in order.
        residual: False drops the addition and keeps the 1x1.
    """

    def __init__(self, lstm: nn.Module, hidden: int, color_groups: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.lstm = lstm
        self.up = MaskedConv2d("B", hidden, 2 * hidden, (1, 1), color_groups)

    def compose(self, x: Tensor, run: Run) -> Tensor:
        """Apply the block: (..., 2h) -> (..., 2h)."""
        y = run(self.up, run(self.lstm, x))
        return x + y if self.residual else y


class ConvBlock(Block):
    """A convolutional block, all under mask B; its input is added to its output.

    (ReLU, 1x1) to h, (ReLU, k x k) to h, (ReLU, 1x1) to 2h.

    Args:
        hidden: h.
        kernel_size: k, odd.
        color_groups: number of colours that see each other in order.
        residual: False drops the addition.
        conditions: what is added to the output of the k x k.
    """

    def __init__(
        self,
        hidden: int,
        kernel_size: int,
        color_groups: int,
        residual: bool,
        conditions: Conditions = NOTHING,
    ) -> None:
        super().__init__()
        self.residual = residual
        size = (kernel_size, kernel_size)
        self.down = MaskedConv2d("B", 2 * hidden, hidden, (1, 1), color_groups)
        self.conv = MaskedConv2d("B", hidden, hidden, size, color_groups, conditions=conditions)
        self.up = MaskedConv2d("B", hidden, 2 * hidden, (1, 1), color_groups)

    def compose(self, x: Tensor, run: Run) -> Tensor:
        """Apply the block: (..., 2h) -> (..., 2h)."""
        y = x
        for layer in (self.down, self.conv, self.up):
            y = run(layer, y.relu())
        return x + y if self.residual else y
