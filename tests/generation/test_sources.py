"""Draws follow the likelihood; a generator for each image makes it independent of its batch."""

import pytest
import torch
from scipy import stats

from pixelrnn.generation.sources import BLOCK, Draw, Position, for_images, invert
from tests.helpers import CATALOGUE, all_images, name_of

THREE = [case for case in CATALOGUE if case.name in ("pixelcnn", "row_lstm", "diagonal_bilstm")]


def p_value(model, temperature, count=100_000):
    """Of Pearson's chi-square: samples against the likelihood, over all images of a tiny space."""
    shape, levels = model.image_shape, model.levels
    space = all_images(shape, levels)
    expected = model.log_prob(space).exp().detach().double() * count
    generator = torch.Generator().manual_seed(0)
    images = (
        model.sample(count, generator=generator, temperature=temperature, batch_size=10_000)
        .flatten(1)
        .long()
    )
    powers = levels ** torch.arange(images.shape[1] - 1, -1, -1)
    observed = torch.bincount((images * powers).sum(1), minlength=len(space)).double()
    rare = expected < 5  # pooled, so that the statistic follows its distribution
    cells = [torch.cat([x[~rare], x[rare].sum(0, keepdim=True)]) for x in (observed, expected)]
    statistic = ((cells[0] - cells[1]).square() / cells[1].clamp_min(1e-9)).sum()
    return stats.chi2.sf(statistic.item(), len(cells[0]) - 1)


@pytest.mark.parametrize("case", THREE, ids=name_of)
@pytest.mark.parametrize(("shape", "levels"), [((2, 1, 2), 3), ((3, 2, 1), 2)])
def test_samples_follow_the_likelihood(case, shape, levels):
    model = case(shape, levels, scale=0.5)
    assert p_value(model, temperature=1.0) > 1e-3
    assert p_value(model, temperature=1.1) < 1e-9


def test_inversion():
    log_weights = torch.tensor([[0.0, 0.25, 0.5, 0.0, 0.25]]).double().log().expand(6, -1)
    uniform = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-53]).double()
    assert invert(log_weights, uniform[:, None]).tolist() == [1, 1, 2, 2, 4, 4]


@pytest.mark.parametrize("temperature", [1e-6, 1e-307, 5e-324])
def test_the_smallest_temperatures_take_the_likeliest_level(temperature):
    log_probs = torch.tensor([[0.3, 0.1, 0.6]]).log().expand(50, -1)
    drawn = Draw(torch.Generator().manual_seed(0), temperature)(log_probs, Position(0, 0, 0))
    assert drawn.tolist() == [2] * 50


@pytest.mark.parametrize("case", THREE, ids=name_of)
def test_a_generator_for_each_image(case):
    model = case((3, 3, 3), 5)

    def generators():
        return [torch.Generator().manual_seed(seed) for seed in range(5)]

    together = model.sample(5, generator=generators())
    assert torch.equal(model.sample(5, generator=generators(), batch_size=2), together)
    for index, generator in enumerate(generators()):
        assert torch.equal(model.sample(1, generator=[generator])[0], together[index])
    images = torch.zeros(5, 3, 3, 3, dtype=torch.uint8)
    known = torch.zeros(3, 3, dtype=torch.bool)
    assert torch.equal(
        model.complete(images, known, generator=generators(), batch_size=3), together
    )


def test_uniforms_left_out_on_the_cpu_serve_draws_on_any_device():
    """Generators of images stand on the CPU; what is known is left out before the first draw."""
    draw = Draw(for_images(0, 2))
    draw.skip(1, 2)
    uniform = draw._uniforms(2, torch.device("meta"))
    assert uniform.device.type == "meta"


def test_generators_for_images_differ_and_repeat():
    first = torch.cat([torch.rand(1, 4, generator=g) for g in for_images(7, 100)])
    again = torch.cat([torch.rand(1, 4, generator=g) for g in for_images(7, 50)])
    other = torch.cat([torch.rand(1, 4, generator=g) for g in for_images(7 + 2**32, 100)])
    assert torch.equal(first[:50], again)
    assert len(torch.cat([first, other]).unique(dim=0)) == 200


def test_one_generator_repeats():
    model = THREE[0]((3, 3, 3), 5)
    first = model.sample(4, generator=torch.Generator().manual_seed(0), batch_size=3)
    assert torch.equal(
        model.sample(4, generator=torch.Generator().manual_seed(0), batch_size=3), first
    )
    assert not torch.equal(
        model.sample(4, generator=torch.Generator().manual_seed(1), batch_size=3), first
    )


def test_low_temperature_takes_the_likeliest():
    model = THREE[1]((3, 2, 2), 4)
    images = model.sample(8, temperature=1e-6)
    assert (images == images[:1]).all()
    likeliest = model.conditionals(images).argmax(2)
    assert torch.equal(likeliest.to(torch.uint8), images)


def test_an_image_gets_the_uniforms_of_its_generator_one_by_one():
    """They are drawn in blocks, but are those that would be drawn one at a time."""
    draw, at = Draw(for_images(5, 3)), Position(0, 0, 0)
    steps = torch.full((3, 1000), 1e-3).double().log()
    found = torch.stack([draw(steps, at) for _ in range(BLOCK + 5)])
    each = for_images(5, 3)
    for index in range(BLOCK + 5):
        uniform = torch.cat([torch.rand(1, generator=g, dtype=torch.float64) for g in each])
        assert torch.equal(found[index], invert(steps, uniform[:, None]))
