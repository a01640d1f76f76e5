"""The catalogue of models that every property test runs over, and how their weights are drawn.

Beside it stand doubles for what the seams must carry and no model of the package does yet.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pixelrnn.layers.apply import Context
from pixelrnn.likelihood import Likelihood, LogisticMixture
from pixelrnn.likelihood.base import at_least_float32
from pixelrnn.models import (
    DiagonalBiLSTM,
    GatedPixelCNN,
    ImageDistribution,
    MultiScale,
    PixelCNN,
    PixelSNAIL,
    RowLSTM,
)
from pixelrnn.ops import subsampling
from pixelrnn.symbols import dtype as symbol_dtype


@dataclass(frozen=True)
class Case:
    """A way to build a model for images of any shape and number of levels."""

    name: str
    build: Callable[..., ImageDistribution]

    def __call__(self, image_shape, levels, *, scale=0.7, dtype=torch.float64):
        model = self.build(image_shape=image_shape, levels=levels).to(dtype)
        return randomise(model, scale).eval()


def randomise(model, scale=0.7):
    """Random weights, non-zero biases and initial states: zeros would hide what leaks through."""
    for name, parameter in model.named_parameters():
        fan_in = parameter.shape[-2] if "state.weight" in name else max(1, parameter[0].numel())
        spread = scale if parameter.dim() < 3 else 2 * scale / fan_in**0.5
        torch.nn.init.normal_(parameter, 0, spread)
    return model


class Tied(Likelihood):
    """A mixture whose component is one for all colours of a pixel, like that of PixelCNN++.

    Parameters: weights of K components, then K tables of levels for each colour.
    """

    ties_colors = True
    components = 2

    def __init__(self, levels):
        self.levels = levels

    def parameters_per_pixel(self, colors):
        return self.components * (1 + colors * self.levels)

    def log_prob(self, parameters, pixel):
        """The definition: colours are summed inside a component, components outside."""
        weights, tables = self._split(parameters)
        return (weights + self._given(tables, pixel)).logsumexp(-1)

    def level_log_probs(self, parameters, earlier, color):
        weights, tables = self._split(parameters)
        posterior = (weights + self._given(tables, earlier)).log_softmax(-1)
        return (posterior[..., None] + tables[..., color, :, :]).logsumexp(-2)

    def _split(self, parameters):
        """Weights (..., K) and tables (..., C, K, levels), all logarithms of probabilities."""
        parameters = at_least_float32(parameters)
        weights = parameters[..., : self.components].log_softmax(-1)
        tables = parameters[..., self.components :]
        return weights, tables.unflatten(-1, (-1, self.components, self.levels)).log_softmax(-1)

    def _given(self, tables, pixel):
        """Log-probability of the first colours of a pixel in each component: (..., K)."""
        count = pixel.shape[-1]
        index = pixel.long()[..., None, None].expand(*pixel.shape, self.components, 1)
        return tables[..., :count, :, :].gather(-1, index)[..., 0].sum(-2)


def mixture(levels, tie_colors=True):
    """A mixture of few components, so that each test case stays cheap."""
    return LogisticMixture(levels, 3, tie_colors)


def mixtures(levels):
    """A mixture for each colour."""
    return mixture(levels, tie_colors=False)


def given(cls):
    """A model of a class that is told one label and one map, the same for every image.

    So it is a distribution over images like any other, and its layers are conditioned. The map has
    other values at every position, and does not depend on the batch.
    """

    class Given(cls):
        def __post_init__(self):
            super().__post_init__()
            self.classes = None  # no labels are asked for
            _, height, width = self.image_shape
            numbers = torch.arange(1.0, 1 + 2 * height * width).cos()
            self.register_buffer("vector", torch.tensor([[0.0, 1.0, 0.0]]), persistent=False)
            self.register_buffer("map", numbers.view(1, 2, height, width), persistent=False)

        def context(self, labels, map=None):
            return Context(self.vector, self.map)

    return partial(Given, classes=3, map_features=2)


def _case(name, cls, likelihood=None, **settings):
    small = {"hidden": 5, "layers": 2, "head_width": 7, "first_kernel_size": 3}

    def build(image_shape, levels):
        chosen = likelihood and likelihood(levels)
        return cls(image_shape, levels, likelihood=chosen, **{**small, **settings})

    return Case(name, build)


def _scales(name, small, large, factor, **settings):
    """A model of two scales; `small` and `large` are names of other cases."""

    def build(image_shape, levels):
        cases = {case.name: case for case in (*CATALOGUE, *LARGE)}
        return MultiScale(
            cases[small].build(subsampling.small_shape(image_shape, factor), levels),
            cases[f"large-{large}"].build(image_shape, levels),
            factor=factor,
            upsampling_width=4,
            **settings,
        )

    return Case(name, build)


SNAIL = {"key_width": 3, "value_width": 4, "convolutions": 1}

CAUSAL = [
    _case("pixelcnn", PixelCNN),
    _case("pixelcnn-plain", PixelCNN, residual=False, skip=False),
    _case("pixelcnn-blind", PixelCNN, color_conditioning=False, kernel_size=5),
    _case("pixelcnn-narrow", PixelCNN, kernel_size=1, first_kernel_size=1, hidden=2),
    _case("pixelcnn-tied", PixelCNN, color_conditioning=False, likelihood=Tied),
    _case("pixelcnn-tied-mixture", PixelCNN, color_conditioning=False, likelihood=mixture),
    _case("pixelcnn-mixtures", PixelCNN, likelihood=mixtures),
    _case("gated_pixelcnn", GatedPixelCNN),
    _case(
        "gated_pixelcnn-plain",
        GatedPixelCNN,
        residual=False,
        skip=True,
        kernel_size=3,
        first_gate="linear",
    ),
    _case(
        "gated_pixelcnn-blind",
        GatedPixelCNN,
        color_conditioning=False,
        kernel_size=3,
        first_gate="none",
    ),
    _case("gated_pixelcnn-narrow", GatedPixelCNN, kernel_size=1, first_kernel_size=1, hidden=2),
    *(
        _case(f"{name}-given", given(cls), **settings)
        for name, cls, settings in (
            ("pixelcnn", PixelCNN, {}),
            ("gated_pixelcnn", GatedPixelCNN, {}),
            ("row_lstm", RowLSTM, {}),
            ("diagonal_bilstm", DiagonalBiLSTM, {"full_context": "blank_column"}),
        )
    ),
    _case("gated_pixelcnn-embedded", GatedPixelCNN, embed=6, kernel_size=3, first_gate="none"),
    _case("pixelsnail", PixelSNAIL, **SNAIL),
    _case("pixelsnail-embedded", PixelSNAIL, **SNAIL, embed=2, layers=1, color_conditioning=False),
    _case("pixelsnail-given", given(PixelSNAIL), **SNAIL, layers=1),
    _case(
        "pixelsnail-tied",
        PixelSNAIL,
        **{**SNAIL, "heads": 2, "kernel_size": 3, "layers": 1},
        residual=False,
        skip=True,
        color_conditioning=False,
        likelihood=mixture,
    ),
    _case("pixelsnail-narrow", PixelSNAIL, **{**SNAIL, "convolutions": 0}, hidden=2, layers=1),
    _case("row_lstm", RowLSTM),
    _case("row_lstm-plain", RowLSTM, residual=False, skip=False, forget_bias=1.0),
    _case("row_lstm-blind", RowLSTM, color_conditioning=False, kernel_size=5),
    _case("row_lstm-narrow", RowLSTM, kernel_size=1, hidden=1, learned_initial_state=False),
    _case("diagonal_bilstm", DiagonalBiLSTM),
    _case(
        "diagonal_bilstm-plain",
        DiagonalBiLSTM,
        residual=False,
        skip=False,
        layers=1,
        full_context=True,
    ),
    _case("diagonal_bilstm-blind", DiagonalBiLSTM, color_conditioning=False, forget_bias=1.0),
    _case("diagonal_bilstm-full", DiagonalBiLSTM, full_context="blank_column"),
    _case(
        "diagonal_bilstm-embedded",
        DiagonalBiLSTM,
        embed=2,
        full_context="blank_column",
        layers=1,
    ),
]
"""Every causal network, and every setting at least once away from its default."""

LARGE = [
    *(
        _case(f"large-{name}", cls, map_features=3)
        for name, cls in (("row_lstm", RowLSTM), ("pixelcnn", PixelCNN))
    ),
    _case("large-row_lstm-embedded", RowLSTM, map_features=3, embed=2, layers=1),
]
"""Networks that are no models without a map."""

CATALOGUE = [
    *CAUSAL,
    _scales("multi_scale", "diagonal_bilstm", "row_lstm", 2),
    _scales("multi_scale-nearest", "gated_pixelcnn", "pixelcnn", (1, 3), resize="nearest"),
    _scales("multi_scale-embedded", "gated_pixelcnn-embedded", "row_lstm-embedded", 2),
]
"""Every exported model: causal networks, and what is made of several."""

NESTED = [_scales("multi_scale-three", "multi_scale", "pixelcnn", (2, 1), upsampling_depth=2)]
"""Models of models of several: held to what is theirs alone."""


def name_of(case) -> str:
    return case.name


def all_images(image_shape, levels) -> Tensor:
    """Every image there is: (levels ** (C H W), C, H, W)."""
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    symbols = list(itertools.product(range(levels), repeat=pixels))
    return torch.tensor(symbols, dtype=symbol_dtype(levels)).view(-1, *image_shape)


def random_images(n, image_shape, levels, seed=0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    dtype = symbol_dtype(levels)
    return torch.randint(levels, (n, *image_shape), generator=generator, dtype=dtype)
