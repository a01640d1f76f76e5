"""The incremental walk against the oracle: same conditionals, same images, for every setting."""

import logging
from functools import partial

import pytest
import torch
from torch import nn

from pixelrnn import threads
from pixelrnn.generation import raster, reference
from pixelrnn.generation.known import Completion, completions
from pixelrnn.generation.sources import Draw, for_images
from pixelrnn.layers.diagonal_bilstm import DiagonalBiLSTMLayer
from pixelrnn.layers.masked_conv import MaskedConv2d
from pixelrnn.layers.row_lstm import RowLSTMLayer
from pixelrnn.layers.stem import Stem
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.models.causal import CausalModel
from tests.helpers import CAUSAL, Case, name_of, random_images, randomise

SHAPES = ((3, 3, 4), (1, 4, 3), (2, 3, 3), (3, 1, 4), (3, 4, 1), (3, 1, 1))
THREE = [case for case in CAUSAL if case.name in ("pixelcnn", "row_lstm", "diagonal_bilstm")]
EMPTY_GROUPS = Case("diagonal_bilstm-narrow", partial(DiagonalBiLSTM, hidden=1, layers=2))


class Recorded:
    """A source that keeps what it was asked."""

    def __init__(self, source):
        self.source = source
        self.log_probs = []
        self.positions = []

    def __call__(self, log_probs, position):
        self.log_probs.append(log_probs.clone())
        self.positions.append(position)
        return self.source(log_probs, position)


def draw(seed=1):
    return Draw(torch.Generator().manual_seed(seed))


def largest_difference(model, n=2):
    """Of the walk's log-probabilities from the whole forward's on the images that it drew."""
    source = Recorded(draw())
    images = raster.generate(model, n, source, context=model.context(None))
    whole = model.conditionals(images).detach()  # (B, C, levels, H, W)
    return max(
        (seen - whole[:, position.color, :, position.row, position.column]).abs().max().item()
        for seen, position in zip(source.log_probs, source.positions, strict=True)
    )


@pytest.mark.parametrize("levels", [pytest.param(2, marks=pytest.mark.slow), 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("case", [*CAUSAL, EMPTY_GROUPS], ids=name_of)
def test_conditionals_are_those_of_the_whole_forward(case, shape, levels):
    assert largest_difference(case(shape, levels)) < 1e-10


@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("case", CAUSAL, ids=name_of)
def test_same_uniforms_same_images(case, n):
    model = case((3, 3, 4), 5)
    context = model.context(None)
    expected = reference.generate(model, n, draw(), context=context)
    assert torch.equal(raster.generate(model, n, draw(), context=context), expected)


@pytest.mark.parametrize("case", THREE, ids=name_of)
def test_float32_draws_the_same_images_but_for_ties(case):
    model = case((3, 4, 4), 8, dtype=torch.float32)
    expected = reference.generate(model, 200, draw())
    same = (raster.generate(model, 200, draw()) == expected).flatten(1).all(1)
    assert same.sum() >= 198  # a uniform within 1e-7 of a step of the distribution may fall over


@pytest.mark.parametrize("case", THREE, ids=name_of)
def test_float32_conditionals(case):
    model = case((3, 4, 4), 8, dtype=torch.float32)
    assert 0 < largest_difference(model) < 1e-4


def slow_if(slow, case):
    return pytest.param(case, marks=pytest.mark.slow) if slow else case


@pytest.mark.parametrize(
    "case",
    [
        slow_if(name_of(case) in ("pixelsnail", "pixelsnail-tied", "pixelsnail-given"), case)
        for case in (*CAUSAL, EMPTY_GROUPS)
    ],
    ids=name_of,
)
def test_float32_is_the_same_to_the_last_bit_in_any_batch_and_on_any_threads(case):
    model = case((3, 4, 5), 8, dtype=torch.float32)

    def walk(members, num_threads):
        source = Recorded(Draw([for_images(0, 9)[member] for member in members]))
        context = model.context(None)
        images = raster.generate(
            model, len(members), source, context=context, num_threads=num_threads
        )
        return images, torch.stack(source.log_probs, dim=1)

    together = walk(range(9), 1)
    for members, num_threads in ((range(9), 3), (range(4), 1), (range(7, 9), 2), ([5], 1)):
        for alone, all_nine in zip(walk(members, num_threads), together, strict=True):
            assert torch.equal(alone, all_nine[list(members)])


@pytest.mark.parametrize("case", THREE, ids=name_of)
def test_completion_keeps_what_is_known_and_is_the_oracles(case):
    model = case((3, 4, 3), 5)
    images = torch.randint(5, (2, 3, 4, 3), dtype=torch.uint8)
    known = torch.rand(2, 4, 3) < 0.5
    completed = raster.generate(model, 2, Completion(images, known, draw()))
    assert torch.equal(completed, reference.generate(model, 2, Completion(images, known, draw())))
    kept = known[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(completed[kept], images[kept])
    assert not torch.equal(completed, images)


def scale(container, key):
    value = container[key]
    if key == "bias":
        value.mul_(1.01)  # in place: the step has bound it
    elif isinstance(value, torch.Tensor):
        container[key] = value * 1.01
    else:
        for product in value if isinstance(value, list) else [value]:
            product.weight = product.weight * 1.01


@pytest.mark.parametrize(
    ("kind", "layer", "path"),
    [
        (PixelCNN, Stem, "products"),
        (PixelCNN, Stem, "above"),
        (PixelCNN, MaskedConv2d, "products"),
        (PixelCNN, MaskedConv2d, "bias"),
        (RowLSTM, RowLSTMLayer, "gates.products"),
        (RowLSTM, RowLSTMLayer, "state_to_state"),
        (DiagonalBiLSTM, Stem, "weight"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "gates.products"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "above"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "left"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "first_cell"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "right.weight"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "right.above"),
        (DiagonalBiLSTM, DiagonalBiLSTMLayer, "right.right"),
    ],
    ids=str,
)
def test_an_error_of_one_percent_shows(kind, layer, path, monkeypatch):
    settings = {"full_context": True} if kind is DiagonalBiLSTM else {}
    model = kind((3, 4, 4), 5, hidden=4, layers=2, first_kernel_size=3, **settings).double()
    randomise(model)
    assert largest_difference(model) < 1e-10
    original = layer.step

    def planted(self, batch, width, context=None):
        step = owner = original(self, batch, width, context)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        scale(vars(owner), name)
        return step

    monkeypatch.setattr(layer, "step", planted)
    assert largest_difference(model) > 1e-6


@pytest.mark.parametrize("case", THREE, ids=name_of)
def test_nothing_is_left_behind(case):
    model = case((3, 3, 3), 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attributes = [set(vars(module)) for module in model.modules()]
    count = torch.get_num_threads()
    images = raster.generate(model, 2, draw(), num_threads=count + 1)
    assert torch.get_num_threads() == count
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert not images.is_inference()
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    model.log_prob(images).sum().backward()


def test_threads_are_restored_after_an_interrupt():
    model = PixelCNN((1, 2, 2), levels=2, hidden=2)
    count = torch.get_num_threads()

    def interrupt(log_probs, position):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        raster.generate(model, 1, interrupt, num_threads=count + 1)
    assert torch.get_num_threads() == count
    assert torch.is_grad_enabled()


def test_threads_by_size():
    with threads.limited(2):
        assert raster.sensible_threads(PixelCNN((1, 4, 4), levels=2, hidden=4), 16) == 1
        assert raster.sensible_threads(PixelCNN((3, 4, 4), hidden=64), 128) == 2


class Twice(CausalModel):
    """One layer used at two depths: each use has a memory of its own."""

    def __init__(self, layer, groups):
        super().__init__((3, 3, 3), 2, color_groups=groups)
        self.stem = Stem(3, 6, 3, groups)
        self.layer = layer
        self.head = MaskedConv2d("B", 6, 3, (1, 1), groups)

    def compose(self, pixels, run):
        x = run(self.stem, pixels)
        return run(self.head, run(self.layer, run(self.layer, x)))


def test_a_layer_used_twice():
    model = Twice(MaskedConv2d("B", 6, 6, (3, 3), 3), 3).double()
    assert largest_difference(model) < 1e-10


class WholeOnly(nn.Linear):
    """A layer of somebody else, with no step."""


def test_without_steps_the_oracle_draws(caplog):
    model = Twice(WholeOnly(6, 6), 1).double()
    expected = reference.generate(model, 2, draw())
    with caplog.at_level(logging.WARNING):
        assert torch.equal(raster.generate(model, 2, draw()), expected)
    assert "WholeOnly has no 'step'" in caplog.text


def test_without_steps_a_completion_is_that_of_the_oracle():
    """The walk that finds no step has asked for no known pixel: each leaves out its uniforms."""
    model = Twice(WholeOnly(6, 6), 1).double()
    images, known = random_images(2, (3, 3, 3), 2), torch.zeros(3, 3, dtype=torch.bool)
    known[0, :2] = True
    whole, steps = (completions(images, known, for_images(0, 4), copies=2) for _ in range(2))
    expected = reference.generate(model, 4, whole(slice(0, 4)))
    assert torch.equal(raster.generate(model, 4, steps(slice(0, 4))), expected)


def test_without_color_groups_the_oracle_draws(caplog):
    model = Twice(MaskedConv2d("B", 6, 6, (3, 3), 3), 3).double()
    expected = reference.generate(model, 2, draw())
    del model.color_groups
    assert torch.equal(raster.generate(model, 2, draw()), expected)
    assert "Twice has no 'color_groups'" in caplog.text
