"""The multi-scale model: one likelihood of two, each pixel counted once, exact samples."""

import pytest
import torch

import pixelrnn
from pixelrnn import threads
from pixelrnn.compression import canary
from pixelrnn.compression.numerics import Walker
from pixelrnn.generation.known import Completion
from pixelrnn.generation.sources import Draw, Position, for_images
from pixelrnn.models import (
    DiagonalBiLSTM,
    GatedPixelCNN,
    MultiScale,
    PixelCNN,
    RowLSTM,
)
from pixelrnn.ops import subsampling
from pixelrnn.runs import nodes
from tests.helpers import CATALOGUE, NESTED, all_images, name_of, random_images, randomise

SMALL = {"hidden": 4, "layers": 1, "head_width": 6, "first_kernel_size": 3}
MULTI = [case for case in CATALOGUE if case.name.startswith("multi_scale")] + NESTED


def build(shape, levels, factor=2, large=RowLSTM, scale=0.7, classes=(None, None), **settings):
    small_shape = subsampling.small_shape(shape, factor)
    model = MultiScale(
        PixelCNN(small_shape, levels, **SMALL, classes=classes[0]),
        large(shape, levels, **SMALL, map_features=3, classes=classes[1]),
        factor=factor,
        upsampling_width=4,
        **settings,
    )
    return randomise(model.double(), scale).eval()


def total(model, batch=8192):
    images = all_images(model.image_shape, model.levels)
    with torch.no_grad():
        return sum(model.log_prob(part).exp().sum().item() for part in images.split(batch))


@pytest.mark.parametrize(
    ("shape", "levels", "factor"),
    [
        ((1, 2, 2), 4, 2),  # 2 x 2 from 1 x 1
        ((1, 2, 3), 3, 2),  # 2 x 3 from 1 x 2: the third column begins a block, cut at the edge
        ((1, 3, 2), 3, (3, 1)),
        ((3, 2, 2), 2, 2),  # RGB
        ((1, 4, 4), 2, 2),  # 4 x 4 from 2 x 2: 65,536 images
    ],
    ids=str,
)
def test_probabilities_sum_to_one(shape, levels, factor):
    large = PixelCNN if shape == (1, 4, 4) else DiagonalBiLSTM
    assert total(build(shape, levels, factor, large)) == pytest.approx(1, abs=1e-12)


def test_three_scales_sum_to_one():
    assert total(NESTED[0]((1, 3, 3), 2)) == pytest.approx(1, abs=1e-12)


def test_counting_the_small_image_twice_is_found():
    """Planted fault: the large network scores all pixels."""
    model = build((1, 2, 2), 4)
    assert total(model) == pytest.approx(1, abs=1e-12)
    model.others = torch.arange(4)
    assert total(model) < 0.99


def test_a_small_image_of_other_pixels_is_found(monkeypatch):
    """Planted fault: the small image is taken from the wrong corner of each block."""
    model = build((1, 2, 2), 4)
    monkeypatch.setattr(subsampling, "subsampled", lambda images, factor: images[:, :, 1::2, 1::2])
    assert abs(total(model) - 1) > 1e-3


def test_the_order_is_the_small_image_then_the_rest_in_raster_order():
    model = build((2, 3, 4), 4)
    pixels = [0, 2, 8, 10, 1, 3, 4, 5, 6, 7, 9, 11]
    assert model.order.tolist() == [2 * pixel + color for pixel in pixels for color in (0, 1)]
    nested = NESTED[0]((1, 8, 4), 2)
    assert nested.image_shape == (1, 8, 4)
    assert nested.small.image_shape == (1, 4, 4)
    assert nested.small.small.image_shape == (1, 2, 2)
    places = nested.order.tolist()
    assert places[:4] == [0, 2, 16, 18]
    assert sorted(places) == list(range(32))


@pytest.mark.usefixtures("no_dead_relu")
@pytest.mark.parametrize("large", [PixelCNN, GatedPixelCNN, RowLSTM, DiagonalBiLSTM])
def test_the_large_network_reads_all_of_the_small_image(large):
    """The first other pixel depends on the last pixel of the small image, below and right of it."""
    model = build((1, 4, 6), 4, large=large, upsampling_depth=3)
    images = random_images(1, (1, 4, 6), 4)
    changed = images.clone()
    changed[0, 0, 2, 4] = (changed[0, 0, 2, 4] + 1) % 4
    before, after = model.conditionals(images), model.conditionals(changed)
    assert not torch.equal(before[..., 0, 1], after[..., 0, 1])
    small = model.small.conditionals(images[:, :, ::2, ::2])
    assert torch.equal(before[..., ::2, ::2], small)


def oracle(model, n, source, labels=None):
    """Sub-pixels in `order`, each from `conditionals` of all that is known so far."""
    colors, _, width = model.image_shape
    images = torch.zeros(n, *model.image_shape, dtype=torch.uint8)
    for index in model.order.tolist():
        row, column, color = index // colors // width, index // colors % width, index % colors
        with torch.no_grad():
            log_probs = model.conditionals(images, labels)[:, color, :, row, column]
        symbols = source(log_probs, Position(row, column, color))
        images[:, color, row, column] = symbols.to(torch.uint8)
    return images


@pytest.mark.parametrize("shape", [(3, 3, 4), (1, 1, 5), (1, 5, 1), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("case", MULTI, ids=name_of)
def test_samples_and_completions_are_the_oracles(case, shape):
    model = case(shape, 5)
    expected = oracle(model, 3, Draw(for_images(1, 3)))
    assert torch.equal(model.sample(3, generator=for_images(1, 3)), expected)
    images = random_images(3, shape, 5)
    known = torch.rand(3, *shape[1:], generator=torch.Generator().manual_seed(2)) < 0.5
    completed = model.complete(images, known, generator=for_images(1, 3))
    source = Completion(images, known, Draw(for_images(1, 3)))
    assert torch.equal(completed, oracle(model, 3, source))
    kept = known[:, None].expand_as(images)
    assert torch.equal(completed[kept], images[kept])


@pytest.mark.parametrize("case", MULTI, ids=name_of)
def test_conditionals_of_the_walk_are_those_of_the_whole_pass(case):
    model, seen = case((3, 3, 5), 5), []

    def source(log_probs, position):
        seen.append((position, log_probs.clone()))
        return draw(log_probs, position)

    draw = Draw(for_images(1, 2))
    (images,) = model.walk(lambda part: source, 2, steps_only=True)
    whole = model.conditionals(images)
    for (row, column, color), log_probs in seen:
        torch.testing.assert_close(log_probs, whole[:, color, :, row, column], atol=1e-10, rtol=0)
    asked = [(row * 5 + column) * 3 + color for (row, column, color), _ in seen]
    assert asked == model.order.tolist()  # each sub-pixel once


@pytest.mark.parametrize("case", MULTI, ids=name_of)
def test_float32_samples_are_the_same_in_any_batch_and_on_any_threads(case):
    model = case((3, 5, 5), 8, dtype=torch.float32)
    together = model.sample(7, generator=for_images(0, 7))
    assert torch.equal(model.sample(7, generator=for_images(0, 7), batch_size=2), together)
    with threads.limited(2):
        assert torch.equal(model.sample(7, generator=for_images(0, 7), batch_size=5), together)


@pytest.mark.parametrize("case", MULTI, ids=name_of)
def test_every_row_is_shown(case):
    model, shown = case((1, 5, 4), 4), []
    images = next(
        model.walk(
            lambda part: Draw(for_images(1, 2)),
            2,
            on_row=lambda images, row: shown.append((images.clone(), row)),
        )
    )
    assert len(shown) == model.rows_walked
    assert [row for _, row in shown[-5:]] == list(range(5))
    assert all(picture.shape == images.shape for picture, _ in shown)
    for picture, row in shown[-5:]:
        assert torch.equal(picture[:, :, : row + 1], images[:, :, : row + 1])
    scales = model.scales(images)
    assert torch.equal(scales[-1], images)
    assert [scale.shape[1:] for scale in scales[-2:]] == [model.small.image_shape, (1, 5, 4)]
    rows, columns = model.factor
    coarse = shown[-6][0]  # the small image, enlarged
    assert torch.equal(coarse[:, :, ::rows, ::columns], scales[-2])


@pytest.mark.parametrize(
    ("classes", "whole"), [((3, 3), 3), ((3, None), 3), ((None, 3), 3)], ids=str
)
def test_labels_reach_the_parts_that_have_classes(classes, whole):
    model = build((1, 3, 4), 4, classes=classes)
    assert model.classes == whole
    images, labels = random_images(3, (1, 3, 4), 4), torch.tensor([2, 0, 1])
    by_class = [model.log_prob(images, torch.full((3,), label)) for label in range(3)]
    assert torch.allclose(
        model.log_prob(images, labels), torch.stack(by_class)[labels, torch.arange(3)]
    )
    assert not torch.allclose(by_class[0], by_class[1])
    samples = model.sample(3, labels, for_images(1, 3))
    assert torch.equal(samples, oracle(model, 3, Draw(for_images(1, 3)), labels))
    with pytest.raises(ValueError, match="labels must be int64"):
        model.log_prob(images)


def test_all_parts_learn_and_a_fixed_small_model_does_not():
    model = build((3, 4, 4), 4)
    images = random_images(2, (3, 4, 4), 4)
    model.train()
    model.log_prob(images).sum().backward()
    for part in (model.small, model.large, model.upsampling):
        assert any(weight.grad is not None and weight.grad.any() for weight in part.parameters())
    assert model.small.training
    model.zero_grad()
    model.small.requires_grad_(False)
    model.train()
    assert not model.small.training
    model.log_prob(images).sum().backward()
    assert all(weight.grad is None for weight in model.small.parameters())
    assert any(weight.grad is not None for weight in model.large.parameters())


def test_the_likelihood_is_the_sum_of_its_stages():
    """So the stages train apart: neither's gradient depends on the other's weights."""
    model = build((1, 4, 4), 4)
    images = random_images(3, (1, 4, 4), 4)
    of_small = model.small.log_prob(images[:, :, ::2, ::2])
    of_large = model.log_prob(images) - of_small
    randomise(model.small)
    again = model.log_prob(images) - model.small.log_prob(images[:, :, ::2, ::2])
    assert torch.allclose(of_large, again, atol=1e-12)


@pytest.mark.parametrize("mode", ["fast", "portable"])
def test_three_scales_are_coded(mode):
    model = NESTED[0]((1, 4, 3), 16, scale=0.5, dtype=torch.float32)
    images = random_images(3, (1, 4, 3), 16)
    data = pixelrnn.compress(model, images, mode=mode, verify=False)
    assert torch.equal(pixelrnn.decompress(model, data), images)


def test_three_scales_see_no_future():
    model, images = NESTED[0]((1, 4, 4), 4), random_images(1, (1, 4, 4), 4)
    before = model.conditionals(images)[0, 0].flatten(1)  # (levels, H * W)
    for place, index in enumerate(model.order.tolist()):
        changed = images.clone().view(-1)
        changed[index] = (changed[index] + 1) % 4
        after = model.conditionals(changed.view_as(images))[0, 0].flatten(1)
        earlier = model.order[: place + 1]
        assert torch.equal(before[:, earlier], after[:, earlier])


def test_the_canary_meets_the_large_network():
    model = build((1, 6, 6), 4).float()
    before = canary.canary(Walker(model, "fast"), 2)
    with torch.no_grad():
        model.large.head.layers[-1].bias += 0.5
    assert canary.canary(Walker(model, "fast"), 2) != before


def test_it_can_be_made_again_from_its_description():
    model = build((3, 4, 6), 4, factor=(2, 3), upsampling_depth=2, resize="nearest")
    twin = nodes.build(model.description()).double()
    twin.load_state_dict(model.state_dict())
    images = random_images(2, (3, 4, 6), 4)
    assert torch.equal(model.log_prob(images), twin.log_prob(images))


def parts(**changes):
    small = {"image_shape": (1, 2, 2), "levels": 4, **SMALL}
    large = {"image_shape": (1, 4, 4), "levels": 4, "map_features": 2, **SMALL}
    for key, value in changes.items():
        part, _, name = key.partition("_of_")
        (small if name == "small" else large)[part] = value
    return PixelCNN(**small), PixelCNN(**large)


@pytest.mark.parametrize(
    ("changes", "factor", "says"),
    [
        ({"map_features_of_large": None}, None, "large.map_features must be a number"),
        ({"map_features_of_small": 2}, None, "small.map_features must be null"),
        ({"levels_of_small": 3}, None, "small.levels=3 but large.levels=4"),
        ({"image_shape_of_small": (1, 3, 2)}, None, r"small.image_shape=\(1, 3, 2\) must be .*, b"),
        ({"image_shape_of_small": (3, 2, 2)}, None, r"small.image_shape=\(3, 2, 2\) must be"),
        ({"image_shape_of_small": (1, 8, 8)}, None, r"\(1, 8, 8\) must be .*, but no factor fits"),
        ({}, 4, r"subsampled, but factor=4 gives \(1, 1, 1\)"),
        ({}, 0, "factor"),
        ({"classes_of_small": 2, "classes_of_large": 3}, None, "small.classes=2 but large"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(changes, factor, says):
    small, large = parts(**changes)
    with pytest.raises(ValueError, match=says):
        MultiScale(small, large, factor=factor)


def test_no_other_model_is_taken_for_the_large_one():
    small, large = parts()
    with pytest.raises(ValueError, match="large"):
        MultiScale(small=small, large=MultiScale(small, large))
