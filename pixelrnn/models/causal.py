"""One causal network and a likelihood: equations 1 and 2 of the paper.

    p(x) = prod over pixels i and colours k of p(x_{i,k} | all sub-pixels before it)

Order: rows top to bottom, columns left to right, then R, G, B.
Axes: `B` batch, `C` colours, `H W` image, `P` parameters of a pixel's distribution.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from pixelrnn.generation import raster
from pixelrnn.generation.network import OnRow
from pixelrnn.generation.sources import Source
from pixelrnn.layers.apply import AllBut, Context, Run, Whole
from pixelrnn.layers.conditioning import Conditions
from pixelrnn.layers.embedding import SymbolEmbedding
from pixelrnn.likelihood import in_chunks
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.likelihood.choice import for_levels
from pixelrnn.models.base import ImageDistribution


class CausalModel(ImageDistribution):
    """Base of the models in raster order. A subclass writes `compose`; all else follows from it.

    Args:
        image_shape: (C, H, W) of the images it scores and makes.
        levels: number of values of a sub-pixel.
        likelihood: what the outputs mean; None: Bernoulli for two levels, else categorical.
        color_groups: number of colours that see each other in order; 1 if they do not.
        classes: number of classes if it is class-conditional (see `context`).
        map_features: number of features of the map that it is conditioned on, if any. Such a model
            scores and draws as a part of another one, which gives the map (`MultiScale`).
        embed: features of the vector by which a symbol enters the network; None: symbols are levels
            of brightness, and enter scaled to [-1, 1].

    Raises:
        ValueError: the likelihood has another number of levels, or ties colours that see each
            other; or `embed` with colour groups that are neither one nor one for each colour.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        likelihood: Likelihood | None = None,
        *,
        color_groups: int = 1,
        classes: int | None = None,
        map_features: int | None = None,
        embed: int | None = None,
    ) -> None:
        super().__init__(image_shape, levels, classes)
        self.map_features = map_features
        self.likelihood = likelihood or for_levels(levels)
        self.color_groups = color_groups
        if self.likelihood.levels != levels:
            raise ValueError(
                f"likelihood.levels={self.likelihood.levels} but levels={levels}: make them equal"
            )
        if self.likelihood.ties_colors and color_groups > 1:
            raise ValueError(
                f"{type(self.likelihood).__name__} ties the colours of a pixel itself: "
                "set color_conditioning=False"
            )
        if embed and color_groups not in (1, image_shape[0]):
            raise ValueError(f"embed needs one colour group or one for each colour: {color_groups}")
        self.embedding = SymbolEmbedding(image_shape[0], levels, embed) if embed else None
        self.input_features = image_shape[0] * (embed or 1)

    @property
    def ordered(self) -> bool:
        """See `ImageDistribution.ordered`."""
        return self.embedding is None

    @property
    def parameters_per_pixel(self) -> int:
        """Number P of parameters that `compose` puts out for a pixel."""
        return self.likelihood.parameters_per_pixel(self.image_shape[0])

    @abstractmethod
    def compose(self, pixels: Tensor, run: Run) -> Tensor:
        """Apply the network, which is written once for whole images and single positions.

        At a single position it runs once for each colour group, on the features of that group
        alone (`layers.steps`): besides `run`, only elementwise operations may stand here.

        Args:
            pixels: what `inputs` gives: whole images (H, W, B, input_features), or at a single
                position the features of the colours of one group.
            run: applies a layer (see `layers.apply`).

        Returns:
            (H, W, B, P), or at a single position the group's part of the parameters (B, P_k). The
            part of colour group k may depend on sub-pixels before k only.
        """

    @property
    def wide_layers(self) -> tuple[nn.Module, ...]:
        """The first layers of `compose` that work on the image and a blank column at its right.

        In whole images `compose` adds that column, and cuts it off again.
        """
        return ()

    @property
    def conditions(self) -> Conditions:
        """What its layers are conditioned on (`context`)."""
        return Conditions(self.classes, self.map_features)

    def check_complete(self) -> None:
        """See `ImageDistribution.check_complete`."""
        self._check_map(None)

    def context(self, labels: Tensor | None, map: Tensor | None = None) -> Context | None:
        """Compute what a batch of images is conditioned on; it is bound into `run`.

        The vector of an image has 1 at its class and 0 elsewhere, so that each layer learns a
        vector of its own for every class.

        Args:
            labels: int64 (B,) if the model has classes, else None.
            map: (B, M, H, W) if the model has `map_features`, else None.

        Raises:
            ValueError: the map is missing, or has another shape.
        """
        self._check_map(map)
        if labels is None and map is None:
            return None
        vector = None
        if labels is not None and self.classes is not None:
            classes = torch.arange(self.classes, device=labels.device)
            vector = (labels[:, None] == classes).to(next(self.parameters()).dtype)
        if map is not None:  # laid out like the features that it is added to
            map = map.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
        return Context(vector, map)

    def _check_map(self, map: Tensor | None) -> None:
        _, height, width = self.image_shape
        expected = None if self.map_features is None else (self.map_features, height, width)
        came = None if map is None else tuple(map.shape[1:])
        if came == expected:
            return
        if expected is None:
            raise ValueError(f"map must be None: the model has no map_features, got {came}")
        raise ValueError(
            f"the model has map_features={self.map_features}: it needs a map (B, "
            f"{', '.join(str(size) for size in expected)}), got {came}; as the large stage of "
            "MultiScale it gets one"
        )

    def forward(self, images: Tensor, context: Context | None = None) -> Tensor:
        """Compute the parameters of every pixel: uint8 (B, C, H, W) -> (H, W, B, P)."""
        return self.compose(self.inputs(images.permute(2, 3, 0, 1)), Whole(context))

    def inputs(self, symbols: Tensor, first_color: int = 0) -> Tensor:
        """Turn symbols into what the network takes in, in the dtype of the weights.

        Levels are scaled to [-1, 1] (section 5.2: scaled, centred), or embedded.

        Args:
            symbols: integers (..., C_k), some colours side by side.
            first_color: the first of them.

        Returns:
            (..., C_k), or (..., C_k * embed): the features of each colour side by side.
        """
        if self.embedding is not None:
            return self.embedding(symbols, first_color)
        dtype = next(self.parameters()).dtype
        return symbols.to(dtype) * (2 / (self.levels - 1)) - 1

    @property
    def last_layer(self) -> nn.Module | None:
        """The layer whose outputs `compose` returns as they come, if it sees one position alone.

        It can then be applied to some positions at a time (`likelihood.in_chunks`). None: the
        parameters of all pixels are computed together.
        """
        return None

    def scores(
        self, images: Tensor, context: Context | None, where: Tensor | None = None
    ) -> Tensor:
        """Compute the log-probabilities of pixels: they add up to that of the image.

        Args:
            images: uint8 (B, C, H, W).
            context: what the images are conditioned on.
            where: flat indices into (H, W) of the pixels that are asked for; None: all.

        Returns:
            (pixels, B) nats, differentiable.
        """
        run: Run = Whole(context)
        last, likelihood = self.last_layer, self.likelihood
        if last is not None:
            run = AllBut(last, run)
        features = self.compose(self.inputs(images.permute(2, 3, 0, 1)), run).flatten(0, 1)
        pixels = images.permute(2, 3, 0, 1).flatten(0, 1)  # (H * W, B, C)
        if where is not None:
            features, pixels = features[where], pixels[where]
        if last is None:
            return likelihood.log_prob(features, pixels)

        def score(features: Tensor, pixels: Tensor) -> Tensor:
            return likelihood.log_prob(last(features), pixels)

        found = in_chunks.log_prob(
            score, features.flatten(0, 1), pixels.flatten(0, 1), self.parameters_per_pixel
        )
        return found.unflatten(0, pixels.shape[:2])

    def _log_prob(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.scores(images, self.context(labels)).sum(0)

    def _conditionals(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.tables(images, self.context(labels))

    def tables(self, images: Tensor, context: Context | None) -> Tensor:
        """Compute `conditionals` given the context: (B, C, levels, H, W) nats."""
        parameters = self(images, context)
        pixels = images.permute(2, 3, 0, 1)  # (H, W, B, C)
        tables = [
            self.likelihood.level_log_probs(parameters, pixels[..., :color], color)
            for color in range(self.image_shape[0])
        ]
        return torch.stack(tables, dim=3).permute(2, 3, 4, 0, 1)

    def _generate(
        self,
        n: int,
        source: Source,
        labels: Tensor | None = None,
        *,
        on_row: OnRow | None = None,
        steps_only: bool = False,
    ) -> Tensor:
        with torch.no_grad():
            context = self.context(labels)
        return raster.generate(
            self, n, source, context=context, on_row=on_row, steps_only=steps_only
        )
