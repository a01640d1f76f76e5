"""What the seams must carry and no model of the package does yet, shown with small doubles.

A class-conditional model with a context of a vector and a map, a layer that computes a whole row
when it begins, and a distribution in another order.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pixelrnn.generation import raster, reference
from pixelrnn.generation.network import NoStep
from pixelrnn.generation.sources import Draw, Position, for_images
from pixelrnn.layers.apply import Context
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.stem import Stem
from pixelrnn.layers.steps.base import InputStep, State, Step
from pixelrnn.models import CausalModel, ImageDistribution
from tests.helpers import CATALOGUE, all_images, random_images, randomise

CLASSES = 3


def draw(seed=1):
    return Draw(torch.Generator().manual_seed(seed))


# --- a context: the embedding of a class, and a map with a value for each position ---------------


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
        self.maps = nn.Parameter(torch.empty(CLASSES, 2, *size))
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


# --- a row extent: a vertical stack, two layers of which see rows above only ----------------------


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


# --- another order: a model that begins at the last sub-pixel -------------------------------------


class Backwards(ImageDistribution):
    """A model in raster order, of images that are turned around in rows, columns and colours."""

    def __init__(self, inner):
        super().__init__(inner.image_shape, inner.levels)
        self.inner = inner

    @property
    def order(self):
        return super().order.flip(0)

    def _log_prob(self, images, labels=None):
        return self.inner._log_prob(images.flip(1, 2, 3))

    def _conditionals(self, images, labels=None):
        return self.inner._conditionals(images.flip(1, 2, 3)).flip(1, 3, 4)

    def _generate(self, n, source, labels=None, *, on_row=None, steps_only=False):
        colors, height, width = self.image_shape

        def turned(log_probs, at):
            return source(
                log_probs,
                Position(height - 1 - at.row, width - 1 - at.column, colors - 1 - at.color),
            )

        return self.inner._generate(n, turned, steps_only=steps_only).flip(1, 2, 3)


@pytest.fixture
def backwards():
    return Backwards(CATALOGUE[0]((2, 2, 3), 3))


def test_conditionals_follow_the_order(backwards):
    """A conditional depends on sub-pixels before it in `order`, and on no other."""
    images = random_images(1, (2, 2, 3), 3)
    before = backwards.conditionals(images).permute(0, 3, 4, 1, 2).flatten(1, 3)[0]
    for place, index in enumerate(backwards.order.tolist()):
        flat = images.permute(0, 2, 3, 1).flatten(1).clone()
        flat[0, index] = (flat[0, index] + 1) % 3
        changed = flat.view(1, 2, 3, 2).permute(0, 3, 1, 2).contiguous()
        after = backwards.conditionals(changed).permute(0, 3, 4, 1, 2).flatten(1, 3)[0]
        unchanged = backwards.order[: place + 1]
        assert torch.equal(before[unchanged], after[unchanged])
        if place == 0:
            assert not torch.equal(before, after)


def test_all_images_in_another_order_sum_to_one():
    model = Backwards(CATALOGUE[0]((1, 2, 2), 3))
    total = model.log_prob(all_images((1, 2, 2), 3)).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_generation_in_another_order(backwards):
    generator = torch.Generator().manual_seed(1)
    expected = backwards.inner.sample(4, generator=generator).flip(1, 2, 3)
    found = backwards.sample(4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(found, expected)
    known = torch.tensor([[True, False, True], [False, True, False]])
    images = random_images(4, (2, 2, 3), 3)
    completed = backwards.complete(images, known)
    assert torch.equal(completed[:, :, known], images[:, :, known])
