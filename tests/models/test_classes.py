"""Labels and maps reach every layer that sees other pixels, in every model of the package."""

import pytest
import torch

from pixelrnn.generation import raster, reference
from pixelrnn.generation.sources import Draw, for_images
from pixelrnn.layers.conditioning import Conditioning
from pixelrnn.layers.steps.conditioning import ContextTerm
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, PixelSNAIL, RowLSTM
from tests.helpers import all_images, random_images, randomise

SHAPE, LEVELS, CLASSES = (3, 3, 4), 4, 3
SMALL = {"hidden": 5, "layers": 2, "head_width": 7, "first_kernel_size": 3}
STACKS = [PixelCNN, GatedPixelCNN, PixelSNAIL, RowLSTM, DiagonalBiLSTM]


def build(cls, shape=SHAPE, levels=LEVELS, scale=0.7, **settings):
    model = cls(shape, levels, **(SMALL | settings)).double()
    return randomise(model, scale).eval()


def draw(n):
    return Draw(for_images(1, n))


def maps(n, features=2, shape=SHAPE):
    torch.manual_seed(3)
    return torch.randn(n, features, *shape[1:], dtype=torch.float64)


@pytest.mark.usefixtures("no_dead_relu")
@pytest.mark.parametrize("hidden", [5, 17])  # few and many features have convolutions of their own
@pytest.mark.parametrize("checkpoint_layers", [False, True])
@pytest.mark.parametrize("cls", STACKS)
def test_every_layer_learns_from_the_label_and_the_map(cls, checkpoint_layers, hidden):
    settings = {"classes": CLASSES, "map_features": 2, "checkpoint_layers": checkpoint_layers}
    model = build(cls, hidden=hidden, scale=0.3, **settings)
    map_ = maps(2).requires_grad_()
    context = model.context(torch.tensor([2, 0]), map_)
    model(random_images(2, SHAPE, LEVELS), context).square().sum().backward()
    layers = [module for module in model.modules() if isinstance(module, Conditioning)]
    blocks = {GatedPixelCNN: 2, PixelSNAIL: 5}.get(cls, 1) * model.layers
    assert len(layers) == blocks + (2 if cls is GatedPixelCNN else 1)
    assert map_.grad.abs().sum((2, 3)).min() > 0
    for layer in layers:
        of_class = layer.of_vector.weight.grad.abs().sum(0)
        assert of_class[0] > 0
        assert of_class[1] == 0  # no image is of class 1
        assert of_class[2] > 0
        assert layer.of_map.weight.grad.abs().sum(0).min() > 0


@pytest.mark.parametrize("cls", STACKS)
def test_wide_layers_learn_as_well(cls):
    """Where a convolution is a sum of products, with a backward of its own."""
    model = cls((1, 4, 4), 4, hidden=20, layers=1, head_width=20, classes=2)
    randomise(model, 0.3)  # larger activations round more than the tolerance
    images, labels = random_images(3, (1, 4, 4), 4), torch.tensor([0, 1, 1])
    found = torch.autograd.grad(model.log_prob(images, labels).sum(), [*model.parameters()])
    exact = model.double()
    expected = torch.autograd.grad(exact.log_prob(images, labels).sum(), [*exact.parameters()])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cls", STACKS)
def test_a_class_is_a_distribution_of_its_own(cls):
    model = build(cls, (2, 1, 2), 3, scale=0.5, classes=CLASSES)
    images = all_images((2, 1, 2), 3)
    tables = [model.log_prob(images, torch.full((len(images),), k)) for k in range(CLASSES)]
    assert all(table.exp().sum().item() == pytest.approx(1, abs=1e-12) for table in tables)
    assert not torch.allclose(tables[0], tables[1])
    assert not torch.allclose(tables[1], tables[2])
    mixed = torch.arange(len(images)) % CLASSES
    expected = torch.stack(tables).gather(0, mixed[None])[0]
    assert torch.allclose(model.log_prob(images, mixed), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cls", STACKS)
def test_new_models_are_alike_for_all_classes(cls):
    """The map of the vector begins at zero, and an unconditioned model has nothing of it."""
    torch.manual_seed(0)
    model = cls(SHAPE, LEVELS, **SMALL, classes=CLASSES)
    images = random_images(1, SHAPE, LEVELS)
    first, second = (model.log_prob(images, torch.tensor([k])) for k in (0, 1))
    assert torch.equal(first, second)
    torch.manual_seed(0)
    plain = cls(SHAPE, LEVELS, **SMALL)
    assert set(model.state_dict()) - set(plain.state_dict()) == {
        name for name in model.state_dict() if "conditioning.of_vector" in name
    }
    assert not any("conditioning" in name for name in plain.state_dict())


@pytest.mark.parametrize("cls", STACKS)
def test_each_image_has_its_label_and_its_map_in_the_walk(cls):
    model = build(cls, classes=CLASSES, map_features=2)
    labels = torch.tensor([2, 0, 1, 2, 0])
    context = model.context(labels, maps(5))
    expected = reference.generate(model, 5, draw(5), context=context)
    assert torch.equal(
        raster.generate(model, 5, draw(5), context=context, steps_only=True), expected
    )
    for other in (model.context(labels.flip(0), maps(5)), model.context(labels, maps(5).flip(0))):
        assert not torch.equal(raster.generate(model, 5, draw(5), context=other), expected)


@pytest.mark.parametrize("cls", STACKS)
def test_a_map_of_the_wrong_row_is_found(cls, monkeypatch):
    """Planted fault: each row gets the map of the row below it."""
    model = build(cls, map_features=2)
    context = model.context(None, maps(4))
    expected = reference.generate(model, 4, draw(4), context=context)
    honest = ContextTerm.adding_to

    def shifted(term, terms):
        add = honest(term, terms)
        return lambda row: add((row + 1) % SHAPE[1])

    monkeypatch.setattr(ContextTerm, "adding_to", shifted)
    assert not torch.equal(raster.generate(model, 4, draw(4), context=context), expected)


@pytest.mark.parametrize("cls", STACKS)
def test_float32_samples_are_the_same_in_any_batch(cls):
    model = build(cls, classes=CLASSES).float()
    labels = torch.arange(7) % CLASSES
    together = model.sample(7, labels, for_images(0, 7))
    assert torch.equal(model.sample(7, labels, for_images(0, 7), batch_size=3), together)
    known = torch.arange(12).view(3, 4) < 5
    completed = model.complete(together, known, labels, for_images(0, 7))
    assert torch.equal(completed, together)


@pytest.mark.parametrize("cls", STACKS)
def test_a_walk_is_continued_many_times(cls):
    model = build(cls, classes=CLASSES, map_features=2).float()
    labels, map_ = torch.tensor([2, 0]), maps(2).float()
    walk = raster.Walk(model, 2, model.context(labels, map_))
    walk.advance(draw(2), 5)
    images = walk.images.repeat_interleave(2, dim=0)
    twice = model.context(labels.repeat_interleave(2), map_.repeat_interleave(2, dim=0))
    anew = raster.Walk(model, 4, twice)
    anew.advance(lambda _, at: images[:, at.color, at.row, at.column], 5)
    assert torch.equal(walk.repeat(2).advance(draw(4)), anew.advance(draw(4)))


def test_a_map_is_asked_for():
    model = build(PixelCNN, map_features=2)
    images = random_images(2, SHAPE, LEVELS)
    with pytest.raises(ValueError, match=r"needs a map \(B, 2, 3, 4\), got None; as the large"):
        model.log_prob(images)
    with pytest.raises(ValueError, match=r"needs a map .*, got \(3, 3, 4\)"):
        model.context(None, maps(2, 3))
    with pytest.raises(ValueError, match="the layer is conditioned on a map of 2 features"):
        model(images)
    with pytest.raises(ValueError, match="map must be None: the model has no map_features"):
        build(PixelCNN).context(None, maps(2))


@pytest.mark.parametrize("cls", STACKS)
def test_wrong_labels_are_refused(cls):
    model = build(cls, classes=CLASSES)
    images = random_images(2, SHAPE, LEVELS)
    for labels, came in ((None, "got None"), (torch.tensor([0, 3]), "got 3")):
        with pytest.raises(ValueError, match=rf"labels must be int64 .* in \[0, 3\), {came}"):
            model.log_prob(images, labels)
    with pytest.raises(ValueError, match="classes"):
        cls(SHAPE, LEVELS, **SMALL, classes=0)
