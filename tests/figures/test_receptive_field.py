"""Measured receptive fields are those that sets of pixels give, colour by colour."""

import pytest
import torch

from pixelrnn.figures import reach, receptive_field
from pixelrnn.figures.reach import Place
from pixelrnn.likelihood import LogisticMixture
from pixelrnn.models import DiagonalBiLSTM, GatedPixelCNN, PixelCNN, RowLSTM
from tests.helpers import CATALOGUE, CAUSAL, NESTED, name_of, random_images
from tests.models import test_receptive_field as known

MODELS = {
    PixelCNN: known.pixelcnn,
    GatedPixelCNN: known.gated_pixelcnn,
    RowLSTM: known.row_lstm,
    DiagonalBiLSTM: known.diagonal_bilstm,
}


def small(kind, shape=(1, 7, 9), **options):
    options = {"hidden": 4, "layers": 2, "head_width": 4, "first_kernel_size": 3, **options}
    if kind is GatedPixelCNN:
        options.setdefault("kernel_size", 3)
    return kind(shape, 4, **options)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("place", [(5, 4), (3, 0), (0, 5), (0, 0), (6, 8)])
def test_what_can_be_seen_is_what_the_layers_let_through(kind, place):
    """With the weights as they were initialised: those of a real model, zeros included."""
    seen = reach.visible(small(kind), Place(*place, 0))[0]
    assert {tuple(q) for q in seen.nonzero().tolist()} == MODELS[kind](7, 9, 2, 3, 3)[place]


def test_the_model_stays_as_it_is():
    model = small(PixelCNN)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reach.visible(model, Place(3, 3, 0))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.relu(torch.tensor(-1.0)) == 0  # the softplus is gone


WIDE = [case for case in CAUSAL if not case.name.endswith("narrow")]
"""Those that have a feature for every colour."""


@pytest.mark.parametrize("case", WIDE, ids=name_of)
def test_colours_see_each_other_only_where_they_may(case):
    model = case((3, 3, 4), 4)
    coupled = model.color_groups > 1 or model.likelihood.ties_colors
    for color in range(3):
        seen = reach.visible(model, Place(1, 2, color))
        own = seen[:, 1, 2].tolist()
        assert own == [coupled and other < color for other in range(3)]
        assert not (seen & ~reach.before(model, Place(1, 2, color))).any()
    if model.color_groups == 1 and not model.likelihood.ties_colors:
        assert seen[:, 0].any()  # other pixels are seen with all their colours


def test_tied_colours_are_seen_by_the_likelihood():
    model = PixelCNN(
        (3, 4, 4), 4, 4, 1, color_conditioning=False, likelihood=LogisticMixture(4, 2), head_width=4
    )
    assert reach.visible(model, Place(2, 2, 2))[:, 2, 2].tolist() == [True, True, False]
    assert reach.visible(model, Place(2, 2, 0))[:, 2, 2].tolist() == [False, False, False]


def test_the_blind_spot_is_found():
    kinds = receptive_field.classes(small(PixelCNN, (1, 12, 12)), Place(11, 4, 0))[0]
    assert kinds[11, 4] == 0
    assert kinds[10, 4] == 1
    assert kinds[10, 9] == 2  # right and above
    assert (kinds == 0).sum() == 12 - 4
    deep = small(GatedPixelCNN, (1, 5, 7), layers=5)
    assert 2 not in receptive_field.classes(deep, Place(4, 3, 0))


SCALES = [*(case for case in CATALOGUE if case not in CAUSAL), *NESTED]


@pytest.mark.parametrize("case", SCALES, ids=name_of)
def test_the_large_scale_sees_the_small_one_all_around(case):
    """How far, its upsampling network decides; the small one sees nothing but itself."""
    shape = (1, 4, 4)
    model = case(shape, 3)
    small = model.known
    for row in range(4):
        for column in range(4):
            place = Place(row, column, 0)
            seen, context = reach.visible(model, place)[0], reach.before(model, place)[0]
            assert not (seen & ~context).any()
            if small[row, column]:
                assert not (seen & ~small).any()
            else:
                later = torch.arange(16).view(4, 4) > 4 * row + column
                assert (seen & small & later).any() or not (small & later).any()
    assert small.sum() == len(model.small.order)


def test_two_scales_use_what_they_are_shown():
    model = SCALES[0]((1, 4, 4), 3).float()
    images = random_images(3, (1, 4, 4), 3)
    for place in (Place(0, 2, 0), Place(1, 1, 0)):
        strength = reach.used(model, images, place)
        assert strength.max() > 0
        assert ((strength > 0) <= reach.visible(model, place)).all()


def test_deep_and_wide_networks_have_no_vanishing_corner():
    """Sixty positions away through twelve blocks, a gradient is small and not zero."""
    model = RowLSTM((1, 60, 3), 4, hidden=24, layers=12, head_width=16, first_kernel_size=3)
    seen = reach.visible(model, Place(59, 1, 0))[0]
    assert seen[:59].all()


def test_what_is_used_is_the_slope_of_the_probability():
    """Against finite differences of log p, on a smooth network."""
    model = CATALOGUE[0]((2, 3, 3), 5)
    images, place = random_images(6, (2, 3, 3), 5), Place(2, 1, 1)
    found = reach.used(model, images, place)
    assert found.shape == (2, 3, 3)
    assert ((found > 0) <= reach.visible(model, place)).all()
    step = 1e-6 * (model.levels - 1) / 2
    inputs = model.inputs

    def shifted(by, at):
        def moved(symbols):
            pixels = inputs(symbols)  # (H, W, B, C)
            pixels[at[1], at[2], :, at[0]] += by * 2 / (model.levels - 1)
            return pixels

        model.inputs = moved
        table = model.conditionals(images)[:, place.color, :, place.row, place.column]
        model.inputs = inputs
        return table.gather(1, images[:, place.color, place.row, place.column, None].long())[:, 0]

    for at in [(0, 2, 1), (1, 2, 0), (0, 1, 2), (1, 2, 1), (0, 2, 2)]:
        slope = (shifted(step, at) - shifted(-step, at)) / (2 * step)
        assert torch.allclose(found[at], slope.abs().mean(), atol=1e-6), at


@pytest.mark.parametrize("colors", [1, 2, 3])
def test_the_picture(colors):
    model = small(PixelCNN, (colors, 6, 5))
    drawn = receptive_field.figure(model, (3, 2, 0), random_images(2, (colors, 6, 5), 4), name="m")
    maps = [ax for ax in drawn.axes if ax.get_xlabel() == "column" and ax.get_ylabel() == "row"]
    assert len(maps) == 2 * colors
    assert drawn.axes[-1].get_ylabel().endswith("nats per level")
    assert "row 3, column 2" in drawn.get_suptitle()
    assert len(receptive_field.figure(model, (3, 2, 0)).axes) == colors
    for place in [(6, 0, 0), (0, 5, 0), (0, 0, colors), (-1, 0, 0)]:
        with pytest.raises(ValueError, match="place must be"):
            receptive_field.figure(model, place)
