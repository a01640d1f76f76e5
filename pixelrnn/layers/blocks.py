"""Residual blocks (section 3.3, figure 5). The stream is 2h wide, the inside of a block h."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from torch import Tensor, nn

from pixelrnn.layers.apply import Run
from pixelrnn.layers.conditioning import NOTHING, Conditions
from pixelrnn.layers.lstm_state import LSTMState
from pixelrnn.layers.masked_conv import MaskedConv2d, MaskedWeight
from pixelrnn.ops.conv_blocks import dispatch as conv_blocks
from pixelrnn.ops.conv_blocks.reference import BlockWeights
from pixelrnn.ops.conv_lstm.dispatch import Kernel
from pixelrnn.ops.lstm_blocks import dispatch as lstm_blocks
from pixelrnn.ops.lstm_blocks import reference as lstm_reference
from pixelrnn.ops.skips import Pair, added, from_inside


class Block(nn.Module, ABC):
    """A part of a network that is written over `run`, like the network itself."""

    @abstractmethod
    def compose(self, x: Tensor, run: Run) -> Tensor:
        """Apply the block: (..., 2h) -> (..., 2h)."""


class Recurrent(Protocol):
    """What a layer is that an `LSTMBlock` holds."""

    kernel: Kernel
    input_to_state: MaskedWeight
    state: LSTMState


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
        return self.with_inside(x, run)[0]

    def with_inside(self, x: Tensor, run: Run) -> tuple[Tensor, Tensor]:
        """Apply the block; return what the LSTM gave, too: (..., h)."""
        inside = run(self.lstm, x)
        y = run(self.up, inside)
        return (x + y if self.residual else y), inside


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


def at_once(
    blocks: Iterable[nn.Module], skips: Iterable[nn.Module], x: Tensor, recompute: bool
) -> tuple[Tensor, list[Tensor]] | None:
    """Apply blocks and their skips to whole images in one call (`ops/conv_blocks`), if it can.

    Args:
        blocks: at least one `ConvBlock`, all with the same settings.
        skips: a 1x1 `MaskedConv2d` of each block's output; or none.
        x: (H, W, B, 2h).
        recompute: keep only each block's input for the backward pass.

    Returns:
        The output of the last block, and the sum of the skips, if any: (H, W, B, 2h). None: the
        blocks have to be applied one by one.
    """
    all_blocks = cast(list[ConvBlock], list(blocks))
    first = all_blocks[0]
    if first.conv.conditioning is not None or not conv_blocks.served(x, first.down.weight):
        return None
    layers = [[each.down, each.conv, each.up] for each in all_blocks]
    for index, skip in enumerate(cast(list[MaskedConv2d], list(skips))):
        layers[index].append(skip)
    weights = [BlockWeights(*(_pair(layer) for layer in each)) for each in layers]
    y, total = conv_blocks.conv_blocks(x, weights, first.residual, recompute)
    return y, [] if total is None else [total]


def lstms_at_once(
    blocks: Iterable[nn.Module], skips: Iterable[nn.Module], x: Tensor, recompute: bool
) -> tuple[Tensor, list[Tensor]] | None:
    """Do for blocks of type `LSTMBlock` what `at_once` does (`ops/lstm_blocks`)."""
    all_blocks = cast(list[LSTMBlock], list(blocks))
    lstms = cast(list[Recurrent], [block.lstm for block in all_blocks])
    first = lstms[0]
    if first.input_to_state.conditioning is not None:
        return None
    if not lstm_blocks.served(x, first.state.weight, first.kernel):
        return None
    of_skips = [_pair(skip) for skip in cast(list[MaskedConv2d], list(skips))]
    weights = [
        lstm_reference.BlockWeights(
            _pair(lstm.input_to_state),
            lstm.state.weight,
            lstm.state.hidden,
            lstm.state.cell,
            _pair(block.up),
            of_skips[index] if of_skips else None,
        )
        for index, (block, lstm) in enumerate(zip(all_blocks, lstms, strict=True))
    ]
    y, total = lstm_blocks.lstm_blocks(x, weights, all_blocks[0].residual, recompute)
    return y, [] if total is None else [total]


def _pair(layer: MaskedWeight) -> Pair:
    return layer.weight_up_to_centre(), layer.bias


def skipped_from_inside(
    blocks: Iterable[nn.Module],
    skips: Iterable[nn.Module],
    x: Tensor,
    run: Run,
    kept: Callable[..., tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor]:
    """Apply recurrent blocks to whole images, and their skips to what is inside (`ops/skips`).

    Args:
        blocks: at least one `LSTMBlock`, all with the same settings.
        skips: a 1x1 `MaskedConv2d` of each block's output.
        x: (H, W, B, 2h).
        run: applies a layer to whole images.
        kept: calls a function with arguments, and decides what is kept for the backward pass.

    Returns:
        The output of the last block, and the sum of the skips: (H, W, B, 2h).
    """
    all_blocks = cast(list[LSTMBlock], list(blocks))
    of_skips, of_ups = (
        [_pair(layer) for layer in cast(Iterable[MaskedConv2d], each)]
        for each in (skips, [block.up for block in all_blocks])
    )
    asides, total = from_inside(x, of_skips, of_ups, all_blocks[0].residual)
    for block, aside in zip(all_blocks, asides, strict=True):
        x, inside = kept(block.with_inside, x, run)
        total = added(total, inside, aside)
    return x, total
