"""A context travels beside the composition, shown with a small class-conditional double.

Its context is the embedding of a class, and a map with a value for each position.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pixelrnn.generation import raster, reference
from pixelrnn.generation.sources import Draw, for_images
from pixelrnn.layers.apply import Context
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.stem import Stem
from pixelrnn.layers.steps.base import State, Step
from pixelrnn.models import CausalModel
from tests.helpers import all_images, random_images, randomise

CLASSES = 3


def draw(seed=1):
    return Draw(torch.Generator().manual_seed(seed))


class ConditionedConv(nn.Module):
    """A masked convolution plus linear maps of the context."""

    takes_context = True

    def __init__(self, features, color_groups):
        super().__init__()
        self.conv = MaskedConv2d("B", features, features, (3, 3), color_groups)
        self.of_vector = nn.Linear(4, features)
        self.of_map = nn.Linear(2, features)

    def forward(self, x, context):
        return self.conv(x) + self.added(context)

    def added(self, context):
        """(H, W, B, features)."""
        return self.of_map(context.map.permute(2, 3, 0, 1)) + self.of_vector(context.vector)

    def step(self, batch, width, context=None):
        return ConditionedStep(self, batch, width, context)


@dataclass
class Added(State):
    of_rows: Tensor  # (B, H, W, features)


class ConditionedStep(Step):
    def __init__(self, layer, batch, width, context):
        self.conv = layer.conv.step(batch, width)
        self.state = Added(layer.added(context).permute(2, 0, 1, 3).contiguous())

    def bind(self):
        pass

    def begin_row(self, row):
        self.conv.begin_row(row)
        self.conv.state.terms.add_(self.state.of_rows[:, row])

    def __call__(self, x, column, group):
        return self.conv(x, column, group)


class Conditioned(CausalModel):
    def __init__(self, image_shape, levels, color_groups):
        super().__init__(image_shape, levels, color_groups=color_groups, classes=CLASSES)
        colors, *size = image_shape
        self.vectors = nn.Embedding(CLASSES, 4)
        self.maps = nn.Parameter(torch.randn(CLASSES, 2, *size))
        self.stem = Stem(colors, 6, 3, color_groups)
        self.layer = ConditionedConv(6, color_groups)
        self.head = MaskedConv2d("B", 6, self.parameters_per_pixel, (1, 1), color_groups)

    def context(self, labels):
        return Context(self.vectors(labels), self.maps[labels])

    def compose(self, pixels, run):
        return run(self.head, run(self.layer, run(self.stem, pixels)))


@pytest.fixture(params=[1, 3], ids=["one group", "three groups"])
def conditioned(request):
    return randomise(Conditioned((3, 3, 4), 4, request.param).double()).eval()


def test_a_context_is_the_same_at_both_speeds(conditioned):
    labels = torch.tensor([2, 0, 1, 2])
    context = conditioned.context(labels)
    expected = reference.generate(conditioned, 4, draw(), context=context)
    found = raster.generate(conditioned, 4, draw(), context=context, steps_only=True)
    assert torch.equal(found, expected)
    vector, map_ = context.vector, context.map
    for other in (Context(vector.flip(0), map_), Context(vector, -map_)):
        assert not torch.equal(raster.generate(conditioned, 4, draw(), context=other), found)


def test_conditionals_of_the_walk_with_a_context(conditioned):
    seen = []

    def source(log_probs, position):
        seen.append((position, log_probs.clone()))
        return chosen(log_probs, position)

    chosen, labels = draw(), torch.tensor([2, 0])
    (images,) = conditioned.walk(lambda part: source, 2, labels, steps_only=True)
    table = conditioned.conditionals(images, labels)
    for (row, column, color), log_probs in seen:
        assert torch.allclose(log_probs, table[:, color, :, row, column], atol=1e-12)
    chosen_levels = table.gather(2, images[:, :, None].long()).sum((1, 2, 3, 4))
    assert torch.allclose(chosen_levels, conditioned.log_prob(images, labels))


def test_a_map_of_the_wrong_row_is_found(conditioned, monkeypatch):
    """Planted fault: each row gets the map of the row below it."""
    honest, context = ConditionedStep.begin_row, conditioned.context(torch.tensor([2, 0]))
    expected = reference.generate(conditioned, 2, draw(), context=context)
    monkeypatch.setattr(ConditionedStep, "begin_row", lambda step, row: honest(step, (row + 1) % 3))
    assert not torch.equal(raster.generate(conditioned, 2, draw(), context=context), expected)


def test_labels_go_with_their_images(conditioned):
    model, labels = conditioned.float(), torch.tensor([2, 0, 1, 2, 1])
    together = model.sample(5, labels, for_images(0, 5))
    assert torch.equal(model.sample(5, labels, for_images(0, 5), batch_size=2), together)
    hidden = torch.zeros(3, 4, dtype=torch.bool)
    blank = torch.zeros_like(together)
    assert torch.equal(model.complete(blank, hidden, labels, for_images(0, 5)), together)
    other = model.sample(5, labels.flip(0), for_images(0, 5))
    assert torch.equal(other[2], together[2])
    assert not torch.equal(other, together)


def test_a_context_walked_once_and_continued_many_times(conditioned):
    model, labels = conditioned.float(), torch.tensor([2, 0])
    walk = raster.Walk(model, 2, model.context(labels))
    walk.advance(draw(), 5)
    images = walk.images.repeat_interleave(2, dim=0)
    anew = raster.Walk(model, 4, model.context(labels.repeat_interleave(2)))
    anew.advance(lambda _, at: images[:, at.color, at.row, at.column], 5)
    many = walk.repeat(2).advance(Draw(for_images(0, 4)))
    assert torch.equal(many, anew.advance(Draw(for_images(0, 4))))


@pytest.mark.parametrize("label", range(CLASSES))
def test_each_class_sums_to_one(label):
    model = randomise(Conditioned((3, 1, 2), 2, 3).double())
    images = all_images((3, 1, 2), 2)
    total = model.log_prob(images, torch.full((len(images),), label)).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "came"),
    [
        (None, "got None"),
        ([0, 1], "got <class 'list'>"),
        (torch.tensor([0.0, 1.0]), "got torch.float32"),
        (torch.tensor([0]), r"got torch.int64 \(1,\)"),
        (torch.tensor([0, 3]), "got 3"),
        (torch.tensor([-1, 0]), "got -1"),
    ],
    ids=str,
)
def test_wrong_labels_are_refused_everywhere(conditioned, labels, came):
    images = random_images(2, (3, 3, 4), 4)
    known = torch.zeros(3, 4, dtype=torch.bool)
    says = rf"labels must be int64 of shape \(2,\) in \[0, 3\), {came}"
    for call in (
        lambda: conditioned.log_prob(images, labels),
        lambda: conditioned.conditionals(images, labels),
        lambda: conditioned.sample(2, labels),
        lambda: conditioned.complete(images, known, labels),
    ):
        with pytest.raises(ValueError, match=says):
            call()
