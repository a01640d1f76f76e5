"""Entropies and log-probabilities against enumeration of all images, and against known values."""

import itertools
import math

import numpy as np
import pytest
import torch

from pixelrnn.data import Mesh
from pixelrnn.data.code_mesh import CodeMeshImages
from pixelrnn.data.ising import IsingImages
from pixelrnn.data.mesh import BlindSpotMeshImages, MeshImages, entropy, noise_log_probs
from pixelrnn.errors import ConfigError

RULES = ["west", "north", "mean", "parity", "far"]


def every_image(colors, height, width, levels):
    size = colors * height * width
    flat = np.array(list(itertools.product(range(levels), repeat=size)), np.uint8)
    return flat.reshape(-1, colors, height, width)


def _enumerated(module):
    """Sum of p, and entropy, over all images."""
    p = np.exp(module.log_prob_of(every_image(*module.image_shape, module.levels)))
    return p.sum(), -(p * np.log(p)).sum()


@pytest.mark.parametrize(
    ("levels", "noise", "amount", "bits"),
    [
        (256, "decay", 3, 4.014555657),
        (256, "decay", 6, 5.024334134),
        (16, "decay", 0.7, 1.753034605),
        (4, "flip", 0.15, 0.847584680),
        (2, "flip", 0.05, 0.286396957),
        (2, "flip", 0.1, 0.468995594),
    ],
)
def test_entropy_of_the_noise(levels, noise, amount, bits):
    log_probs = noise_log_probs(levels, noise, amount)
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-12)
    assert entropy(log_probs) / math.log(2) == pytest.approx(bits, abs=1e-9)
    # at the level of the module: bits per dimension, whatever the rule and the size
    module = MeshImages("mean", 5, 6, 3, levels, noise, amount)
    assert module.entropy / math.log(2) / 90 == pytest.approx(bits, abs=1e-9)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [(3, 3, 1, 2), (2, 3, 1, 3), (2, 2, 3, 2), (2, 2, 1, 6)])
def test_mesh_against_enumeration(rule, shape):
    height, width, colors, levels = shape
    noise, amount = ("flip", 0.1) if levels == 2 else ("decay", 0.8)
    module = MeshImages(rule, height, width, colors, levels, noise, amount)
    total, enumerated = _enumerated(module)
    assert total == pytest.approx(1, abs=1e-12)
    assert module.entropy == pytest.approx(enumerated, abs=1e-12)
    if shape == (3, 3, 1, 2):
        assert module.entropy == pytest.approx(2.925746760523, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_mesh_images_follow_their_rule(rule):
    """Pixel by pixel in plain numbers, as the docstring says it."""
    module = MeshImages(rule, 4, 5, 3, 7, train_size=20)
    for image in module.load("train"):
        x = image.astype(int)
        residuals = module.residuals(image[None])[0]
        for i, j, k in itertools.product(range(4), range(5), range(3)):
            west = x[k, i, j - 1] if j else 0
            north = x[k, i - 1, j] if i else 0
            value, residual = (x[k - 1, i, j], residuals[k - 1, i, j]) if k else (0, 0)
            f = {
                "west": west,
                "north": north,
                "mean": (west + north + 1) // 2 + residual,
                "parity": west + north + value,
                "far": x[k, i - 1, 4] if i else 0,
            }[rule]
            assert residuals[k, i, j] == (x[k, i, j] - f) % 7


@pytest.mark.parametrize("rule", RULES)
def test_mesh_residuals_are_the_noise(rule):
    module = MeshImages(rule, 8, 8, 3, 4, "flip", 0.15, train_size=2000)
    residuals = module.residuals(module.load("train"))
    found = np.bincount(residuals.ravel(), minlength=4) / residuals.size
    np.testing.assert_allclose(found, [0.85, 0.05, 0.05, 0.05], atol=0.003)


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 3, 4), (3, 1, 4), (3, 3, 2)])
def test_code_mesh_against_enumeration(shape):
    height, width, levels = shape
    module = CodeMeshImages(height=height, width=width, levels=levels, amount=0.6)
    total, enumerated = _enumerated(module)
    assert total == pytest.approx(1, abs=1e-12)
    assert module.entropy == pytest.approx(enumerated, abs=1e-12)


def test_code_mesh_draws_what_it_says():
    """Codes have no order: neighbours differ by anything, but their residuals are the noise."""
    module = CodeMeshImages(height=6, width=5, levels=300, amount=1.0, train_size=500)
    maps = module.load("train")
    assert (maps.dtype, maps.shape) == (np.uint16, (500, 1, 6, 5))
    found = np.bincount(module.residuals(maps).ravel(), minlength=300) / maps.size
    np.testing.assert_allclose(found, np.exp(module.noise_log_probs), atol=0.02)
    jumps = np.abs(np.diff(maps.astype(int), axis=3)).mean()
    assert jumps == pytest.approx(100, rel=0.1)  # a third of the codes, as of independent ones


def test_mesh_of_many_levels_is_wide():
    module = MeshImages("mean", 2, 3, 1, 1000, train_size=50)
    images = module.load("train")
    assert images.dtype == np.uint16
    assert np.isfinite(module.log_prob_of(images)).all()


def test_blind_spot_mesh_against_enumeration():
    module = BlindSpotMeshImages(2, 3, 4, 2, "flip", 0.1)
    total, enumerated = _enumerated(module)
    assert total == pytest.approx(1, abs=1e-12)
    assert module.entropy == pytest.approx(enumerated, abs=1e-12)
    assert module.entropy == pytest.approx(6.845509338045, abs=1e-12)
    assert module.blind_entropy == pytest.approx(8.317766166719, abs=1e-12)


@pytest.mark.parametrize(("reach", "nats"), [(0, 8.317766166719), (1, 8.317766166719), (2, None)])
def test_who_does_not_see_the_related_pixel_learns_nothing(reach, nats):
    """The best predictor whose context ends `reach` columns to the right in each row above."""
    module = BlindSpotMeshImages(2, 3, 4, 2, "flip", 0.1)
    images = every_image(1, 3, 4, 2)[:, 0]
    p = np.exp(module.log_prob_of(images[:, None]))
    best = 0.0
    for i, j in np.ndindex(3, 4):
        seen = [(a, b) for a, b in np.ndindex(3, 4) if _visible(a, b, i, j, reach)]
        best += _entropy_of(images, p, [*seen, (i, j)]) - _entropy_of(images, p, seen)
    assert best == pytest.approx(nats or module.entropy, abs=1e-9)


def _visible(a, b, i, j, reach):
    return (a == i and b < j) or (a < i and b <= j + reach * (i - a))


def _entropy_of(images, p, places):
    key = np.zeros(len(images), np.int64)
    for a, b in places:
        key = 2 * key + images[:, a, b]
    marginal = np.bincount(key, weights=p)
    marginal = marginal[marginal > 0]
    return -(marginal * np.log(marginal)).sum()


ISING = [
    (2, 3, 0.4, 0.0, 4.748276552748, 3.525097655708),
    (3, 4, 0.4407, 0.0, 10.126982065902, 6.243313021413),
    (4, 4, 0.3, 0.2, 13.128186638626, 8.086981447075),
    (4, 5, 0.6, -0.1, 21.493234072051, 4.327606967971),
    (8, 8, 0.3, 0.0, 49.740321647, 38.265117762),
    (8, 8, 0.4406868, 0.0, 56.924442628, 28.076263907),
    (12, 12, 0.4, 0.0, 123.838683877, 68.968395976),
    (12, 12, 0.4406868, 0.0, 129.893399597, 58.953605595),
]


@pytest.mark.parametrize(("height", "width", "coupling", "field", "log_z", "nats"), ISING)
def test_ising_known_values(height, width, coupling, field, log_z, nats):
    module = IsingImages(height, width, coupling, field)
    assert module.log_z == pytest.approx(log_z, abs=1e-9)
    assert module.entropy == pytest.approx(nats, abs=1e-9)


@pytest.mark.slow
def test_ising_16_known_value():
    module = IsingImages(16, 16, 0.4)
    assert module.log_z == pytest.approx(221.373266162, abs=1e-8)
    assert module.entropy == pytest.approx(120.123742951, abs=1e-8)


@pytest.mark.parametrize(
    ("height", "width", "coupling", "field"),
    [(2, 3, 0.4, 0.0), (3, 4, 0.4407, 0.0), (4, 3, 0.6, -0.1), (1, 5, 0.5, 0.3), (5, 1, 0.5, 0.3)],
)
def test_ising_against_the_gibbs_formula(height, width, coupling, field):
    module = IsingImages(height, width, coupling, field)
    images = every_image(1, height, width, 2)
    s = 2 * images[:, 0].astype(float) - 1
    bonds = (s[:, 1:] * s[:, :-1]).sum((1, 2)) + (s[:, :, 1:] * s[:, :, :-1]).sum((1, 2))
    energy = coupling * bonds + field * s.sum((1, 2))
    log_z = np.logaddexp.reduce(energy)
    assert module.log_z == pytest.approx(log_z, abs=1e-12)
    np.testing.assert_allclose(module.log_prob_of(images), energy - log_z, atol=1e-11)
    p = np.exp(energy - log_z)
    assert module.entropy == pytest.approx(-(p * np.log(p)).sum(), abs=1e-12)


MODULES = [
    *(MeshImages(rule, 4, 4, 3, 5, test_size=4000) for rule in RULES),
    BlindSpotMeshImages(test_size=4000),
    IsingImages(test_size=4000),
    IsingImages(6, 5, 0.3, 0.4, test_size=4000),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.dataset_id)
def test_drawn_images_have_the_entropy(module):
    surprise = -module.log_prob_of(module.load("test"))
    error = surprise.std() / math.sqrt(len(surprise))
    assert abs(surprise.mean() - module.entropy) < 4 * error
    torch_log_prob = module.exact_log_prob(torch.from_numpy(module.load("test")))
    assert torch_log_prob.dtype == torch.float64
    np.testing.assert_array_equal(torch_log_prob, -surprise)


def test_images_are_drawn_in_proportion_to_their_probability():
    module = IsingImages(2, 3, 0.4, 0.1, test_size=100_000)
    weights = 2 ** np.arange(6)[::-1]
    found = np.bincount(module.load("test").reshape(-1, 6) @ weights, minlength=64)
    expected = 100_000 * np.exp(module.log_prob_of(every_image(1, 2, 3, 2)))
    assert (abs(found - expected) < 5 * np.sqrt(expected)).all()


def test_images_depend_on_the_draw_seed_alone():
    def images(**settings):
        return Mesh(train_size=50, val_size=50, **settings).images("train")

    np.testing.assert_array_equal(images(seed=1), images(seed=2))
    assert not np.array_equal(images(draw_seed=1), images(draw_seed=2))
    module = MeshImages(train_size=50, val_size=50)
    assert not np.array_equal(module.load("train"), module.load("val"))


def test_extreme_noise_stays_finite():
    module = MeshImages("mean", 3, 3, 1, 256, "decay", 1e-3, train_size=10)
    assert module.entropy == 0
    assert np.isfinite(module.log_prob_of(every_image(1, 3, 3, 2))).all()


@pytest.mark.parametrize("make", [MeshImages, BlindSpotMeshImages])
def test_a_probability_is_below_one(make):
    with pytest.raises(ConfigError, match=r"data\.amount=1 is a probability"):
        make(noise="flip", amount=1.0)


@pytest.mark.parametrize(("height", "width", "shift"), [(1, 8, 5), (4, 3, 5), (4, 5, 5)])
def test_blind_spot_mesh_without_related_pixels(height, width, shift):
    module = BlindSpotMeshImages(shift, height, width, train_size=10)
    assert module.entropy == module.blind_entropy
    np.testing.assert_allclose(module.log_prob_of(module.load("train")), -module.entropy)
