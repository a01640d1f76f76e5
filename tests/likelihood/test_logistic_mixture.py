"""The mixture of logistics against its definition, and where floating point could break it."""

import pytest
import torch

from pixelrnn.likelihood import LogisticMixture
from pixelrnn.models import PixelCNN


def definition(parameters, pixel, levels, components):
    """PixelCNN++, equations 1 to 3, as they read: p of one pixel, in float64."""
    colors = len(pixel)
    named = parameters.double().view(-1, components)
    pi, means, log_scales = named[0].softmax(0), named[1:], named[1 + colors :]
    coefficients = named[1 + 2 * colors :].tanh()
    x = [2 * level / (levels - 1) - 1 for level in pixel]
    means_now = [means[k] for k in range(colors)]
    if colors == 3:
        means_now[1] = means[1] + coefficients[0] * x[0]
        means_now[2] = means[2] + coefficients[1] * x[0] + coefficients[2] * x[1]
    joint = pi
    for k, level in enumerate(pixel):
        scale = log_scales[k].clamp(-7, 7).exp()
        upper = torch.sigmoid((x[k] - means_now[k] + 1 / (levels - 1)) / scale)
        lower = torch.sigmoid((x[k] - means_now[k] - 1 / (levels - 1)) / scale)
        upper = torch.ones_like(upper) if level == levels - 1 else upper
        lower = torch.zeros_like(lower) if level == 0 else lower
        joint = joint * (upper - lower)
    return joint.sum()


def parameters_for(likelihood, n, colors=3, scale=1.0, dtype=torch.float64):
    size = likelihood.parameters_per_pixel(colors)
    return (scale * torch.randn(n, size, dtype=torch.float64)).to(dtype)


@pytest.mark.parametrize("scale", [1.0, 6.0])  # 6: many scales lie beyond their limits
@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_it_is_what_the_paper_defines(levels, colors, scale):
    likelihood = LogisticMixture(levels, components=4)
    parameters = parameters_for(likelihood, 50, colors, scale)
    pixels = torch.randint(levels, (50, colors), dtype=torch.uint8)
    pixels[0], pixels[1] = 0, levels - 1
    found = likelihood.log_prob(parameters, pixels).exp()
    for p, parameter, pixel in zip(found, parameters, pixels, strict=True):
        expected = definition(parameter, pixel.tolist(), levels, 4)
        assert p == pytest.approx(expected.item(), rel=1e-9, abs=1e-14)


def test_untied_it_is_a_mixture_for_each_colour():
    tied, untied = LogisticMixture(17, 4), LogisticMixture(17, 4, tie_colors=False)
    parameters = parameters_for(untied, 20)
    pixels = torch.randint(17, (20, 3))
    each = parameters.view(20, 3, -1)
    expected = sum(tied.log_prob(each[:, k], pixels[:, k, None]) for k in range(3))
    torch.testing.assert_close(untied.log_prob(parameters, pixels), expected)
    PixelCNN((3, 4, 4), 17, hidden=3, layers=1, likelihood=untied)  # its colours see each other


def test_it_has_ten_numbers_for_each_component_of_a_colour_pixel():
    likelihood = LogisticMixture(components=5)
    assert [likelihood.parameters_per_pixel(colors) for colors in (1, 2, 3)] == [15, 30, 50]
    assert LogisticMixture(components=5, tie_colors=False).parameters_per_pixel(3) == 45


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_levels_sum_to_one_in_float32(levels, scale):
    likelihood = LogisticMixture(levels, components=4)
    parameters = parameters_for(likelihood, 1000, scale=scale, dtype=torch.float32)
    pixels = torch.randint(levels, (1000, 3))
    for color in range(3):
        table = likelihood.level_log_probs(parameters, pixels[:, :color], color)
        assert (table.double().exp().sum(-1) - 1).abs().max() < 1e-6


def test_levels_sum_to_one_where_edges_of_narrow_bins_round_to_one_number():
    """At means of hundreds the steps of float32 are wider than one of 65,536 bins."""
    means = torch.tensor([1.9, 2.1, 30.0, 300.0, -300.0, 1000.0, 1e5, 1e30])
    log_scales = torch.tensor([-7.0, 0.0, 5.0, 7.0])
    grid = torch.cartesian_prod(torch.zeros(1), means, log_scales)
    table = LogisticMixture(2**16, components=1).level_log_probs(grid, torch.zeros(32, 0), 0)
    assert (table.double().exp().sum(-1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_float32_is_float64_but_for_rounding(scale):
    likelihood = LogisticMixture(256, components=4)
    parameters = parameters_for(likelihood, 1000, scale=scale, dtype=torch.float32)
    pixels = torch.randint(256, (1000, 3))
    found = likelihood.log_prob(parameters, pixels).double()
    expected = likelihood.log_prob(parameters.double(), pixels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 1e2, 1e8, 1e30])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_extreme_parameters_have_finite_values_and_gradients(levels, value):
    likelihood = LogisticMixture(levels, components=2)
    size = likelihood.parameters_per_pixel(3)
    signs = torch.randint(2, (levels, size)) * 2.0 - 1
    parameters = (value * signs).requires_grad_()
    pixels = torch.arange(levels)[:, None].expand(-1, 3)
    log_prob = likelihood.log_prob(parameters, pixels)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert parameters.grad.isfinite().all()
    for color in range(3):
        table = likelihood.level_log_probs(parameters, pixels[:, :color], color)
        assert not table.isnan().any()


def test_gradients_are_those_of_finite_differences():
    likelihood = LogisticMixture(17, components=2)
    parameters = parameters_for(likelihood, 6).requires_grad_()
    pixels = torch.randint(17, (6, 3))
    pixels[0], pixels[1] = 0, 16
    assert torch.autograd.gradcheck(lambda p: likelihood.log_prob(p, pixels), parameters)


def test_green_reweighs_the_components():
    """Planted fault: the conditional of green keeps the weights of red."""
    likelihood = LogisticMixture(17, components=4)
    parameters, pixels = parameters_for(likelihood, 20, scale=2.0), torch.randint(17, (20, 3))
    honest = likelihood.level_log_probs(parameters, pixels[:, :1], 1)
    moved = likelihood._joint
    likelihood._joint = lambda mixture, pixel: moved(mixture, pixel[..., :0])
    assert not torch.allclose(likelihood.level_log_probs(parameters, pixels[:, :1], 1), honest)


def test_a_network_whose_colours_see_each_other_is_refused():
    with pytest.raises(ValueError, match=r"LogisticMixture ties .* set color_conditioning=False"):
        PixelCNN((3, 4, 4), 256, likelihood=LogisticMixture())
    PixelCNN((1, 4, 4), 256, hidden=2, layers=1, likelihood=LogisticMixture())  # one colour can
