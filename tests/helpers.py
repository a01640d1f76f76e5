"""The catalogue of models that every property test runs over, and how their weights are drawn."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pixelrnn.models import DiagonalBiLSTM, PixelCNN, PixelModel, RowLSTM


@dataclass(frozen=True)
class Case:
    """A way to build a model for images of any shape and number of levels."""

    name: str
    build: Callable[..., PixelModel]

    def __call__(self, image_shape, levels, *, scale=0.7, dtype=torch.float64) -> PixelModel:
        model = self.build(image_shape=image_shape, levels=levels).to(dtype)
        return randomise(model, scale).eval()


def randomise(model, scale=0.7):
    """Random weights, non-zero biases and initial states: zeros would hide what leaks through."""
    for name, parameter in model.named_parameters():
        fan_in = parameter.shape[-2] if "state.weight" in name else max(1, parameter[0].numel())
        spread = scale if parameter.dim() < 3 else 2 * scale / fan_in**0.5
        torch.nn.init.normal_(parameter, 0, spread)
    return model


def _case(name, cls, **settings):
    small = {"hidden": 5, "layers": 2, "head_width": 7, "first_kernel_size": 3}

    def build(image_shape, levels):
        return cls(image_shape, levels, **{**small, **settings})

    return Case(name, build)


CATALOGUE = [
    _case("pixelcnn", PixelCNN),
    _case("pixelcnn-plain", PixelCNN, residual=False, skip=False),
    _case("pixelcnn-blind", PixelCNN, color_conditioning=False, kernel_size=5),
    _case("pixelcnn-narrow", PixelCNN, kernel_size=1, first_kernel_size=1, hidden=2),
    _case("row_lstm", RowLSTM),
    _case("row_lstm-plain", RowLSTM, residual=False, skip=False, forget_bias=1.0),
    _case("row_lstm-blind", RowLSTM, color_conditioning=False, kernel_size=5),
    _case("row_lstm-narrow", RowLSTM, kernel_size=1, hidden=1, learned_initial_state=False),
    _case("diagonal_bilstm", DiagonalBiLSTM),
    _case("diagonal_bilstm-plain", DiagonalBiLSTM, residual=False, skip=False, layers=1),
    _case("diagonal_bilstm-blind", DiagonalBiLSTM, color_conditioning=False, forget_bias=1.0),
    _case("diagonal_bilstm-full", DiagonalBiLSTM, full_context=True, first_kernel_size=1),
]
"""Every exported model, and every setting at least once away from its default."""


def name_of(case) -> str:
    return case.name


def all_images(image_shape, levels) -> Tensor:
    """Every image there is: uint8 (levels ** (C H W), C, H, W)."""
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    symbols = list(itertools.product(range(levels), repeat=pixels))
    return torch.tensor(symbols, dtype=torch.uint8).view(-1, *image_shape)


def random_images(n, image_shape, levels, seed=0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(levels, (n, *image_shape), generator=generator, dtype=torch.uint8)
