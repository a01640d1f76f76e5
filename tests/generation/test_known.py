"""What is known is walked once, and no distribution of it is computed: the same completions.

The reference hides from the walk what its source knows, so that every sub-pixel of every image is
computed, as by a walk that draws.
"""

import pytest
import torch

from pixelrnn.generation import raster
from pixelrnn.generation.known import Beforehand, Completion, OfSubsampled, completions
from pixelrnn.generation.sources import Draw, Position, for_images
from pixelrnn.generation.stepper import Stepper
from pixelrnn.layers.steps.masked_conv import MaskedConvStep
from pixelrnn.models import PixelCNN
from pixelrnn.ops import subsampling
from tests.helpers import CATALOGUE, CAUSAL, random_images, randomise

SHAPE, LEVELS, IMAGES, DRAWS = (3, 4, 5), 8, 3, 4
TOTAL = IMAGES * DRAWS


def bottom(height, width):
    return torch.arange(height)[:, None].expand(height, width) < height // 2


def right(height, width):
    return torch.arange(width).expand(height, width) < width // 2


def scattered(height, width):
    """A prefix that ends in the midst of a row, then pixels known in all images, or in some.

    The last two are known in all.
    """
    known = torch.rand(IMAGES, height, width, generator=torch.Generator().manual_seed(3)) < 0.4
    known.view(IMAGES, -1)[:, : width + 2] = True
    known[:, height - 1, 1:3] = True
    known[:, height - 1, width - 2 :] = True
    known[:, 1, 2] = False
    return known


def everything(height, width):
    return torch.ones(height, width, dtype=torch.bool)


def nothing(height, width):
    return torch.zeros(height, width, dtype=torch.bool)


def as_before(model, images, known, generators, labels=None):
    """Each completion walked alone from the first pixel on, its known pixels drawn and replaced."""
    source_of = completions(images, known, generators)

    def hidden(part):
        source = source_of(part)
        return lambda log_probs, position: source(log_probs, position)

    return torch.cat(list(model.walk(hidden, len(images), labels)))


MASKS = [(case, scattered) for case in CATALOGUE] + [(CAUSAL[0], bottom), (CAUSAL[0], right)]


@pytest.mark.parametrize(
    ("case", "known"), MASKS, ids=[f"{case.name}-{known.__name__}" for case, known in MASKS]
)
def test_completions_are_those_of_each_image_walked_alone(case, known):
    model, images = case(SHAPE, LEVELS, dtype=torch.float32), random_images(IMAGES, SHAPE, LEVELS)
    where = known(*SHAPE[1:])
    repeated = images.repeat_interleave(DRAWS, dim=0)
    each = where.repeat_interleave(DRAWS, dim=0) if where.dim() == 3 else where
    expected = as_before(model, repeated, each, for_images(0, TOTAL))
    found = model.complete(images, where, generator=for_images(0, TOTAL), draws=DRAWS)
    assert torch.equal(found, expected)
    assert len(found.unique(dim=0)) > IMAGES  # draws of an image differ


PIXELCNN = CAUSAL[0]


@pytest.mark.parametrize("batch_size", [1, 3, 5, 7])
def test_batches_may_split_the_draws_of_an_image(batch_size):
    model, images = PIXELCNN(SHAPE, LEVELS, dtype=torch.float32), random_images(3, SHAPE, LEVELS)
    known = bottom(*SHAPE[1:])
    together = model.complete(images, known, generator=for_images(0, TOTAL), draws=DRAWS)
    found = model.complete(
        images, known, generator=for_images(0, TOTAL), draws=DRAWS, batch_size=batch_size
    )
    assert torch.equal(found, together)


@pytest.mark.parametrize("known", [everything, nothing], ids=lambda known: known.__name__)
@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 5, 1), (1, 1, 1), (3, 2, 3)], ids=str)
def test_all_and_none_known(shape, known):
    model, images = PIXELCNN(shape, LEVELS), random_images(2, shape, LEVELS)
    where = known(*shape[1:])
    found = model.complete(images, where, generator=for_images(0, 6), draws=3)
    if where.all():
        assert torch.equal(found, images.repeat_interleave(3, dim=0))
    else:
        assert torch.equal(found, model.sample(6, generator=for_images(0, 6)))


@pytest.mark.parametrize("one", [True, False], ids=["one generator", "torch's own"])
def test_one_generator_gives_every_draw_the_uniforms_it_gave_before(one):
    model, images = PIXELCNN(SHAPE, LEVELS), random_images(IMAGES, SHAPE, LEVELS)
    known = right(*SHAPE[1:])
    results = []
    for complete in (
        lambda g: as_before(model, images.repeat_interleave(DRAWS, dim=0), known, g),
        lambda g: model.complete(images, known, generator=g, draws=DRAWS),
    ):
        torch.manual_seed(1)
        results.append(complete(torch.Generator().manual_seed(1) if one else None))
    assert torch.equal(*results)


def test_no_images():
    model = PIXELCNN(SHAPE, LEVELS)
    found = model.complete(random_images(0, SHAPE, LEVELS), bottom(*SHAPE[1:]), draws=3)
    assert found.shape == (0, *SHAPE)


@pytest.mark.parametrize("which", [bottom, nothing])  # with a known prefix, and without one
def test_draws_of_an_image_are_of_its_class(which):
    """Weights are drawn anew: a new model is alike for all classes."""
    model = randomise(PixelCNN((1, 4, 3), levels=4, hidden=3, layers=1, classes=3), 2.0)
    images, labels = random_images(IMAGES, (1, 4, 3), 4), torch.tensor([2, 0, 1])
    known = which(4, 3)
    expected = as_before(
        model,
        images.repeat_interleave(DRAWS, dim=0),
        known,
        for_images(0, TOTAL),
        labels.repeat_interleave(DRAWS),
    )
    found = model.complete(images, known, labels, for_images(0, TOTAL), draws=DRAWS)
    assert torch.equal(found, expected)
    other = model.complete(images, known, labels.roll(1), for_images(0, TOTAL), draws=DRAWS)
    assert not torch.equal(other, expected)
    with pytest.raises(ValueError, match="labels"):
        model.complete(images, known, labels.repeat_interleave(DRAWS), draws=DRAWS)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"draws": 0}, "at least 1, got 0"), ({"generator": for_images(0, 3), "draws": 2}, "of 6")],
    ids=["draws", "generators"],
)
def test_wrong_draws_are_refused(arguments, text):
    model = PIXELCNN(SHAPE, LEVELS)
    with pytest.raises(ValueError, match=text):
        model.complete(random_images(3, SHAPE, LEVELS), bottom(*SHAPE[1:]), **arguments)


def of_scales():
    """Sources that know all: of an image (3, 5, 7), and of smaller ones that are parts of it."""
    images, known = random_images(2, (3, 5, 7), LEVELS), everything(5, 7)
    large = Completion(images, known.expand(2, -1, -1), Draw(for_images(0, 2)))
    middle = OfSubsampled(large, (2, 2))
    some = subsampling.positions((3, 4), (3, 2))
    other = Beforehand(random_images(2, (3, 3, 4), LEVELS), some, middle)
    return [large, middle, OfSubsampled(middle, (1, 3)), other, OfSubsampled(other, (2, 1))]


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("columns", [range(2), range(1, 2), range(1)], ids=str)
def test_pixels_of_a_row_are_given_together_as_one_by_one(columns, row):
    for together, alone in zip(of_scales(), of_scales(), strict=True):
        one_by_one = [alone.given(row, range(c, c + 1))[..., 0] for c in columns]
        assert torch.equal(together.given(row, columns), torch.stack(one_by_one, -1))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_uniforms_of_known_pixels_are_left_out(length):
    """What is drawn after a run of known pixels does not depend on how the run is asked for."""
    uniforms = []
    for runs in ([range(0, length)], [range(c, c + 1) for c in range(length)]):
        large, *_ = of_scales()
        for columns in runs:
            large.given(0, columns)
        flat = torch.zeros(2, 1000).log_softmax(-1)
        uniforms.append(large.draw(flat, Position(0, length, 0)))
    drawn = Draw(for_images(0, 2))
    expected = [drawn(flat, Position(0, 0, 0)) for _ in range(3 * length + 1)][-1]
    assert torch.equal(uniforms[0], expected)
    assert torch.equal(uniforms[1], expected)


def test_after_the_last_unknown_pixel_nothing_is_computed(monkeypatch):
    """Counts rows that begin and pixels that are seen; the symbols are filled in all the same."""
    model, images = PIXELCNN((1, 5, 4), LEVELS), random_images(IMAGES, (1, 5, 4), LEVELS)
    known = torch.ones(5, 4, dtype=torch.bool)
    known[1:3, 1:3] = False
    begun, seen, rows = [], [], []
    begin_row, see = Stepper.begin_row, Stepper.see
    monkeypatch.setattr(
        Stepper, "begin_row", lambda stepper, row: [begun.append(row), begin_row(stepper, row)]
    )
    monkeypatch.setattr(Stepper, "see", lambda stepper, *x: [seen.append(x[1]), see(stepper, *x)])
    source = completions(images, known, for_images(0, IMAGES))(slice(0, IMAGES))
    found = raster.generate(model, IMAGES, source, on_row=lambda images, row: rows.append(row))
    assert begun == [0, 1, 2]
    assert seen == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert rows == [0, 1, 2, 3, 4]
    assert torch.equal(found[:, :, known], images[:, :, known])
    expected = as_before(model, images, known, for_images(0, IMAGES))
    assert torch.equal(found, expected)


def test_the_known_part_is_walked_once_and_without_distributions(monkeypatch):
    """Counts images in every product of a layer that remembers, and distributions asked for."""
    model = PIXELCNN((1, 4, 4), LEVELS)
    images, known = random_images(IMAGES, (1, 4, 4), LEVELS), bottom(4, 4)
    seen, asked = [], []
    original = MaskedConvStep.__call__

    def counted(step, x, column, group):
        seen.append(len(x))
        return original(step, x, column, group)

    class Counted(Completion):
        def __call__(self, log_probs, position):
            asked.append(position.row)
            return super().__call__(log_probs, position)

    monkeypatch.setattr(MaskedConvStep, "__call__", counted)
    repeated, draw = images.repeat_interleave(DRAWS, dim=0), Draw(for_images(0, TOTAL))
    source = Counted(
        repeated, known.expand(TOTAL, 4, 4), draw, torch.full((IMAGES,), DRAWS, dtype=torch.int64)
    )
    rows = []
    raster.generate(
        model, TOTAL, source, on_row=lambda images, row: rows.append((len(images), row))
    )
    layers = len(seen) // 16
    assert seen == [IMAGES] * 8 * layers + [TOTAL] * 8 * layers
    assert set(asked) == {2, 3}
    assert rows == [(TOTAL, row) for row in range(4)]
