"""What the paper's three single-scale networks and the Gated PixelCNN have in common (table 1).

    stem (mask A) -> blocks, each with an optional skip -> head

Axes: `h` hidden; the stream between blocks is 2h wide (`StackModel.stream`).
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pixelrnn.arguments import ImageShape, Levels, OddSize, Positive
from pixelrnn.layers import blocks
from pixelrnn.layers.apply import Run, is_whole
from pixelrnn.layers.blocks import LSTMBlock
from pixelrnn.layers.head import Head, default_width
from pixelrnn.layers.lstm_state import LSTMSettings
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.stem import Stem
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.models.causal import CausalModel
from pixelrnn.models.fields import arguments_from_fields


@arguments_from_fields
class StackModel(CausalModel):
    """A network of stem, blocks, skips and head. A subclass writes `block` and adds fields.

    Args:
        image_shape: (C, H, W).
        levels: number of values of a sub-pixel.
        hidden: h; the stream between blocks is 2h wide.
        layers: number of residual blocks.
        residual: add a block's input to its output.
        skip: a learnt 1x1 (mask B) from each block's output to the head's input, summed to it.
        first_kernel_size: size of the first convolution (mask A), odd.
        color_conditioning: False: channels do not see each other inside a pixel.
        head_width: features of the head's inner layers; None: 1024 for 256 levels, 32 for binary,
            128 between, 256 above.
        likelihood: what the outputs mean; None: Bernoulli for two levels, else categorical.
        checkpoint_layers: keep only each block's input for the backward, and compute the block
            again there: a third more arithmetic, and depth costs little memory.
        classes: number of classes; labels then go with every call, and every layer that sees other
            pixels adds a vector of its own for each class. None: no labels.
        map_features: features of a map that every such layer adds a 1x1 of, as the large stage of
            `MultiScale` does. None: no map.
        embed: features of the vector by which a symbol enters, for symbols without order, such as
            the codes of a VQ-VAE: a learnt table for each colour. None: levels of brightness, which
            enter scaled to [-1, 1].
    """

    image_shape: ImageShape
    levels: Levels = 256
    hidden: Positive = 128
    layers: Positive = 12
    residual: bool = True
    skip: bool = True
    first_kernel_size: OddSize = 7
    color_conditioning: bool = True
    head_width: Positive | None = None
    likelihood: Likelihood | None = None  # type: ignore[assignment]  # CausalModel makes None one
    checkpoint_layers: bool = False
    classes: Positive | None = None
    map_features: Positive | None = None
    embed: Positive | None = None

    dropout = 0.0  # a field of the models whose papers have it

    def __post_init__(self) -> None:
        stream = self.stream
        groups = self.image_shape[0] if self.color_conditioning else 1
        super().__init__(
            self.image_shape,
            self.levels,
            self.likelihood,
            color_groups=groups,
            classes=self.classes,
            map_features=self.map_features,
            embed=self.embed,
        )
        self.stem = self.first_layer(self.input_features, stream)
        self.blocks = nn.ModuleList(self.block() for _ in range(self.layers))
        self.skips = nn.ModuleList(
            MaskedConv2d("B", stream, stream, (1, 1), groups) for _ in self.blocks if self.skip
        )
        width = self.head_width or default_width(self.levels)
        self.head = Head(stream, width, self.parameters_per_pixel, groups)

    @property
    def last_layer(self) -> nn.Module:
        """See `CausalModel.last_layer`."""
        return self.head.layers[-1]

    @property
    def stream(self) -> int:
        """Number of features between blocks."""
        return 2 * self.hidden

    def first_layer(self, inputs: int, features: int) -> nn.Module:
        """Make the layer under mask A, from the input features of a pixel to the stream."""
        return Stem(
            inputs,
            features,
            self.first_kernel_size,
            self.color_groups,
            conditions=self.conditions,
        )

    @abstractmethod
    def block(self) -> nn.Module:
        """Make a block, whose `compose` goes from the stream to the stream."""

    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """See `CausalModel.compose`."""
        return self.blocks_and_head(run(self.stem, pixels), run)

    def blocks_and_head(
        self, x: Tensor, run: Run, others: Sequence[tuple[Tensor, ...]] | None = None
    ) -> Tensor:
        """Apply all that comes after the first layer.

        Args:
            x: the stream, (..., features).
            run: applies a layer (see `layers.apply`).
            others: what each block's `compose` is given beside the stream; None: nothing.

        Returns:
            The parameters, (..., P).
        """
        x, skipped = self.through_blocks(x, run, others)
        return self.head.compose(sum(skipped, x), run)

    def through_blocks(
        self, x: Tensor, run: Run, others: Sequence[tuple[Tensor, ...]] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Apply the blocks and their skips; see `blocks_and_head`.

        Returns:
            The output of the last block, and what is added to it for the head.
        """
        return self.one_by_one(self.blocks, self.skips, x, run, others)

    def one_by_one(
        self,
        some: nn.ModuleList,
        skips: nn.ModuleList,
        x: Tensor,
        run: Run,
        others: Sequence[tuple[Tensor, ...]] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Apply some blocks, each with its skip, if there are any; see `through_blocks`."""
        skipped = []
        for index, block in enumerate(some):
            compose: Callable[..., Tensor] = block.compose  # type: ignore[assignment]
            other = others[index] if others else ()
            x = self.checkpointed(compose, x, run, *other)
            if skips:
                skipped.append(run(skips[index], x))
        return x, skipped

    def checkpointed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function; with `checkpoint_layers` its inside is computed again in backward."""
        if not (self.checkpoint_layers and torch.is_grad_enabled()):
            return function(*arguments)
        draws = self.dropout > 0  # unless keyed, masks come from the global generator
        return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=draws)


@arguments_from_fields
class LSTMStack(StackModel, LSTMSettings):
    """A stack of recurrent blocks. A subclass writes `lstm`."""

    def block(self) -> LSTMBlock:
        """See `StackModel.block`."""
        settings = LSTMSettings(**{f.name: getattr(self, f.name) for f in fields(LSTMSettings)})
        return LSTMBlock(self.lstm(settings), self.hidden, self.color_groups, self.residual)

    def through_blocks(
        self, x: Tensor, run: Run, others: Sequence[tuple[Tensor, ...]] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """See `StackModel.through_blocks`."""
        return self.through(self.blocks, self.skips, x, run)

    def through(
        self, some: nn.ModuleList, skips: nn.ModuleList, x: Tensor, run: Run
    ) -> tuple[Tensor, list[Tensor]]:
        """Apply some blocks, each with its skip; whole images go through all of them in one call.

        Where that is not possible (`ops/lstm_blocks`), the skips of whole images see what is inside
        blocks; on GPUs and under autocast, where nobody measured it, they do not.

        Args:
            some: the blocks, at least one.
            skips: one for each of them, or none at all.
            x: the stream, (..., features).
            run: applies a layer (see `layers.apply`).

        Returns:
            The output of the last block, and what is added to it for the head.
        """
        if is_whole(run):
            found = blocks.lstms_at_once(some, skips, x, self.checkpoint_layers)
            if found is not None:
                return found
        plain = x.device.type != "cpu" or torch.is_autocast_enabled("cpu")
        if plain or not skips or not is_whole(run):
            return self.one_by_one(some, skips, x, run)
        x, total = blocks.skipped_from_inside(some, skips, x, run, self.checkpointed)
        return x, [total]

    @abstractmethod
    def lstm(self, settings: LSTMSettings) -> nn.Module:
        """Make a recurrent layer from 2h to h features."""
