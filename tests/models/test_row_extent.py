"""A layer may compute its whole row when the row begins, shown with a small vertical stack."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pixelrnn.generation import raster, reference
from pixelrnn.generation.network import NoStep
from pixelrnn.generation.sources import Draw
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.stem import Stem
from pixelrnn.layers.steps.base import InputStep, State
from pixelrnn.models import CausalModel
from tests.helpers import randomise


def draw(seed=1):
    return Draw(torch.Generator().manual_seed(seed))


class VerticalStack(nn.Module):
    """Two 3 x 3 convolutions of the rows above: a whole row is known when it begins."""

    def __init__(self, colors, features):
        super().__init__()
        self.first = nn.Conv2d(colors, features, 3, dtype=torch.float64)
        self.second = nn.Conv2d(features, features, 3, dtype=torch.float64)

    def forward(self, x):
        """(H, W, B, C) -> (H, W, B, F): at row r a function of the rows before r."""
        y = nn.functional.pad(x.permute(2, 3, 0, 1), (1, 1, 3, -1))
        y = nn.functional.pad(self.first(y).tanh(), (1, 1, 2, 0))
        return self.second(y).permute(2, 3, 0, 1)

    def step(self, batch, width, context=None):
        return VerticalStep(self, batch, width)


@dataclass
class RowsSeen(State):
    pixels: Tensor  # (B, rows so far, W, C); the last row is the one at hand


class VerticalStep(InputStep):
    """Computes its whole row in `begin_row`, all colours mixed, slow and right."""

    def __init__(self, layer, batch, width):
        self.layer = layer
        colors = layer.first.weight.shape[1]
        self.state = RowsSeen(torch.zeros(batch, 0, width, colors, dtype=torch.float64))
        self.features = None

    def bind(self):
        pass

    def begin_row(self, row):
        assert row == self.state.pixels.shape[1]
        self.state.pixels = nn.functional.pad(self.state.pixels, (0, 0, 0, 0, 0, 1))
        self.features = self.layer(self.state.pixels.permute(1, 2, 0, 3))[-1]  # (W, B, F)

    def see(self, x, column, group):
        first = group * x.shape[-1]
        self.state.pixels[:, -1, column, first : first + x.shape[-1]] = x

    def __call__(self, x, column, group):
        return self.features[column].chunk(3, dim=-1)[group]


class TwoStacks(CausalModel):
    def __init__(self):
        super().__init__((3, 4, 3), 4, color_groups=3)
        self.stem = Stem(3, 6, 3, 3)
        self.vertical = VerticalStack(3, 6)
        self.head = MaskedConv2d("B", 6, self.parameters_per_pixel, (1, 1), 3)

    def compose(self, pixels, run):
        return run(self.head, (run(self.stem, pixels) + run(self.vertical, pixels)).tanh())


def test_a_layer_may_compute_a_whole_row_when_it_begins():
    model = randomise(TwoStacks().double())
    expected = reference.generate(model, 3, draw())
    assert torch.equal(raster.generate(model, 3, draw(), steps_only=True), expected)


class Late(TwoStacks):
    """A layer that sees pixels, applied to something else: no step can know its input."""

    def compose(self, pixels, run):
        return run(self.head, run(self.stem, pixels * 2))


def test_a_model_without_steps_is_refused_where_whole_passes_would_be_wrong():
    model = randomise(Late().double())
    with pytest.raises(NoStep, match="not applied to the pixels"):
        list(model.walk(lambda part: draw(), 2, steps_only=True))
    assert torch.equal(
        model.sample(2, generator=torch.Generator().manual_seed(1)),
        reference.generate(model, 2, draw()),
    )
