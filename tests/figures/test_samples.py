"""Pictures of samples: at every scale, by class, and completions with their bits."""

import math

import numpy as np
import pytest
import torch

from pixelrnn.figures import classes, completions, scales
from tests.helpers import CATALOGUE, CAUSAL, NESTED, random_images


def shown(ax):
    return np.asarray(ax.get_images()[0].get_array())


@pytest.mark.parametrize(("name", "count"), [("multi_scale", 2), ("multi_scale-three", 3)])
def test_every_scale_is_a_row(name, count):
    (case,) = (case for case in (*CATALOGUE, *NESTED) if case.name == name)
    model = case((1, 8, 8), 4)
    images = random_images(3, (1, 8, 8), 4)
    drawn = scales.figure(model, images, name="mine")
    axes = np.array(drawn.axes).reshape(count, 3)
    for row, scale in zip(axes, model.scales(images), strict=True):
        assert row[0].get_ylabel() == f"{scale.shape[2]} x {scale.shape[3]}"
        for ax, image in zip(row, scale, strict=True):
            assert np.allclose(shown(ax), image[0] / 3)
    small, large = shown(axes[0, 0]), shown(axes[-1, 0])
    rows, columns = (large.shape[axis] // small.shape[axis] for axis in (0, 1))
    assert np.array_equal(small, large[::rows, ::columns])


def test_one_scale_is_refused():
    with pytest.raises(ValueError, match="PixelCNN has one scale only"):
        scales.figure(CAUSAL[0]((1, 4, 4), 4), random_images(2, (1, 4, 4), 4))


def test_every_class_is_a_row():
    images = random_images(6, (3, 4, 5), 8)
    drawn = classes.figure(images, ["cat", "dog"], 8, name="mine", style="dark")
    axes = np.array(drawn.axes).reshape(2, 3)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["cat", "dog"]
    assert np.allclose(shown(axes[1, 0]), images[3].permute(1, 2, 0) / 7)
    with pytest.raises(ValueError, match="6 images are not equally many of 4 classes"):
        classes.figure(images, list("abcd"), 8)


def test_the_bits_of_the_hidden_part():
    model = CAUSAL[0]((3, 4, 3), 4)
    images = random_images(2, (3, 4, 3), 4)
    everything = torch.zeros(4, 3, dtype=torch.bool)
    bits = completions.hidden_bits(model, images, everything)
    assert torch.allclose(bits * 36, -model.log_prob(images) / math.log(2))
    known = everything.clone()
    known[:2] = True
    table = model.conditionals(images).gather(2, images.long()[:, :, None])[:, :, 0]
    expected = -table[:, :, 2:].mean((1, 2, 3)) / math.log(2)
    assert torch.allclose(completions.hidden_bits(model, images, known), expected)


def test_completions_stand_between_the_known_part_and_the_original():
    shape = (1, 4, 3)
    model, images = CAUSAL[0](shape, 4), random_images(2, shape, 4)
    known = torch.zeros(4, 3, dtype=torch.bool)
    known[:2] = True
    drawn = model.complete(images.repeat_interleave(2, dim=0), known).unflatten(0, (2, 2))
    figure = completions.figure(model, images, drawn, known, name="mine")
    axes = np.array(figure.axes).reshape(2, 4)
    assert [ax.get_title() for ax in axes[0]] == ["known", "drawn", "", "original"]
    assert np.allclose(shown(axes[1, 2]), drawn[1, 1, 0] / 3)
    assert np.allclose(shown(axes[1, 3]), images[1, 0] / 3)
    veil = np.asarray(axes[0, 0].get_images()[1].get_array())[..., 3]
    assert np.array_equal(veil == 1, ~known)
    bits = completions.hidden_bits(model, images, known)
    assert axes[1, 3].get_xlabel() == f"{bits[1]:.2f}"
    assert "bits/dim" in figure.get_suptitle()
