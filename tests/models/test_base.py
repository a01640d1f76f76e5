"""The public contract: what is refused, what comes out."""

import inspect
import math
import re

import pytest
import torch

import pixelrnn
from pixelrnn.likelihood import Categorical
from pixelrnn.likelihood.units import nats_to_bits_per_dim
from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from tests.helpers import CATALOGUE, Tied, name_of, random_images


@pytest.fixture
def model():
    return CATALOGUE[0]((3, 2, 3), 5)


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_conditionals_are_normalised_and_add_up_to_log_prob(case):
    model = case((3, 2, 3), 5)
    images = random_images(4, (3, 2, 3), 5)
    table = model.conditionals(images)
    assert table.shape == (4, 3, 5, 2, 3)
    assert torch.allclose(table.exp().sum(2), torch.ones((), dtype=torch.float64))
    chosen = table.gather(2, images[:, :, None].long()).squeeze(2)
    assert torch.allclose(chosen.sum((1, 2, 3)), model.log_prob(images))


@pytest.mark.parametrize("levels", [2, 5, 256, 1000])
def test_levels_enter_a_network_evenly_from_minus_one_to_one(levels):
    model = PixelCNN((1, 2, 2), levels, hidden=2, layers=1, head_width=2).double()
    found = model.inputs(torch.arange(levels)[:, None])[:, 0]
    torch.testing.assert_close(found, torch.linspace(-1, 1, levels, dtype=torch.float64))


def test_log_prob_is_differentiable(model):
    log_prob = model.log_prob(random_images(2, (3, 2, 3), 5))
    log_prob.sum().backward()
    assert log_prob.shape == (2,)
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 3, 2, 3), "uint8, got torch.float32"),
        (
            torch.zeros(2, 3, 2, 3, dtype=torch.uint8).numpy(),
            r"torch.Tensor of dtype uint8, got a numpy.ndarray; use torch.from_numpy\(...\)",
        ),
        ([[0]], "torch.Tensor of dtype uint8, got a builtins.list"),
        (torch.zeros(2, 3, 3, 2, dtype=torch.uint8), r"\(B, 3, 2, 3\)"),
        (torch.zeros(3, 2, 3, dtype=torch.uint8), r"\(B, 3, 2, 3\)"),
        (torch.full((1, 3, 2, 3), 5, dtype=torch.uint8), "levels=5, got 5"),
    ],
)
def test_wrong_images_are_refused(model, images, says):
    for method in (model.log_prob, model.conditionals):
        with pytest.raises(ValueError, match=says):
            method(images)
    with pytest.raises(ValueError, match=says):
        model.complete(images, torch.ones(2, 3, dtype=torch.bool))


def test_wrong_requests_are_refused(model):
    with pytest.raises(ValueError, match="n must be"):
        model.sample(-1)
    with pytest.raises(ValueError, match="temperature must be above 0, got 0: it divides"):
        model.sample(1, temperature=0)
    with pytest.raises(ValueError, match="labels must be None: the model has no classes"):
        model.sample(1, torch.zeros(1, dtype=torch.int64))
    images = random_images(2, (3, 2, 3), 5)
    for known in (torch.ones(2, 3), torch.ones(3, 2, dtype=torch.bool)):
        with pytest.raises(ValueError, match="known must be bool"):
            model.complete(images, known)
    for known in (torch.ones(2, 3, dtype=torch.bool).numpy(), [[True] * 3] * 2):
        with pytest.raises(ValueError, match=r"known must be bool .*, got <class"):
            model.complete(images, known)


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 1, 4), (3, 4, 1)], ids=str)
def test_no_images_are_a_batch_too(case, shape):
    model = case(shape, 5, dtype=torch.float32)
    nothing = torch.zeros(0, *shape, dtype=torch.uint8)
    assert model.log_prob(nothing).shape == (0,)
    assert model.conditionals(nothing).shape == (0, shape[0], 5, *shape[1:])
    assert torch.equal(model.sample(0), nothing)
    assert torch.equal(model.complete(nothing, torch.ones(shape[1:], dtype=torch.bool)), nothing)
    model.log_prob(nothing).sum().backward()


def test_order_is_rows_columns_colours(model):
    assert torch.equal(model.order, torch.arange(18))


@pytest.mark.parametrize("build", [PixelCNN, RowLSTM, DiagonalBiLSTM])
@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": 0},
        {"hidden": 2.5},
        {"first_kernel_size": 4},
        {"levels": 65_537},
        {"image_shape": (3, 8)},
        {"residual": "maybe"},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(build, wrong):
    settings = {"image_shape": (1, 4, 4), "levels": 4, "hidden": 4, "layers": 1, **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build(**settings)


def test_likelihood_and_model_must_have_the_same_levels():
    with pytest.raises(ValueError, match=r"likelihood.levels=4 but levels=5"):
        PixelCNN((1, 4, 4), levels=5, hidden=4, layers=1, likelihood=Categorical(4))


def test_a_likelihood_that_ties_colours_needs_one_colour_group():
    with pytest.raises(ValueError, match=r"Tied ties the colours .* color_conditioning=False"):
        PixelCNN((3, 4, 4), levels=4, hidden=4, layers=1, likelihood=Tied(4))


@pytest.mark.parametrize("build", [PixelCNN, RowLSTM, DiagonalBiLSTM])
def test_every_argument_is_documented(build):
    described = re.findall(r"^        (\w+): ", build.__doc__, re.MULTILINE)
    assert set(described) == set(inspect.signature(build).parameters)
    assert len(described) == len(set(described))
    assert "Annotated" not in str(inspect.signature(build))  # what help() shows


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_weights_serve_every_image_size(case):
    small, large = case((1, 2, 3), 4), case((1, 6, 5), 4)
    large.load_state_dict(small.state_dict())
    assert torch.isfinite(large.log_prob(random_images(2, (1, 6, 5), 4))).all()


@pytest.mark.parametrize("case", CATALOGUE[::4], ids=name_of)
def test_half_precision_keeps_the_likelihood_in_float32(case):
    model = case((1, 4, 4), 16, dtype=torch.float32)
    images = random_images(2, (1, 4, 4), 16)
    with torch.autocast("cpu", torch.bfloat16):
        log_prob = model.log_prob(images)
    assert log_prob.dtype == torch.float32
    # bfloat16 has 8 bits: a product is off by 2^-9, a sum of 16 sub-pixels by a few percent
    assert torch.allclose(log_prob, model.log_prob(images), rtol=0.1)


def test_bits_per_dim_of_a_uniform_model():
    model = PixelCNN((3, 4, 4), levels=256, hidden=4, layers=1, head_width=4)
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)
    log_prob = model.log_prob(random_images(3, (3, 4, 4), 256))
    bits = pixelrnn.bits_per_dim(log_prob, (3, 4, 4))
    assert torch.allclose(bits, torch.full((3,), 8.0))
    assert pixelrnn.bits_per_dim(-math.log(2), (1, 1, 1)) == 1.0
    assert nats_to_bits_per_dim(math.log(2) * 6, (1, 2, 3)) == pytest.approx(1.0)


def test_paper_sizes_have_the_papers_parameter_counts():
    """Derived counts of the CIFAR-10 networks, with skips that cost nothing: 5.3, 9.6, 8.8 M."""

    def millions(build, **settings):
        model = build((3, 32, 32), skip=False, **settings)
        return sum(p.numel() for p in model.parameters()) / 1e6

    assert millions(PixelCNN) == pytest.approx(5.3, abs=0.06)
    assert millions(RowLSTM) == pytest.approx(9.6, abs=0.06)
    assert millions(DiagonalBiLSTM) == pytest.approx(8.8, abs=0.06)


def test_private_twins_compute_without_checks(model, monkeypatch):
    """A check reads a maximum from the device: training must not wait for it in every step."""
    images = random_images(2, (3, 2, 3), 5)
    expected = model.log_prob(images), model.conditionals(images)

    def refuse(*_):
        raise AssertionError("checked")

    for name in ("check_images", "check_labels"):
        monkeypatch.setattr(type(model), name, refuse)
    assert torch.equal(model._log_prob(images), expected[0])
    assert torch.equal(model._conditionals(images), expected[1])
    with pytest.raises(AssertionError, match="checked"):
        model.log_prob(images)
