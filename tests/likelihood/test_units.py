"""Nats per image and bits per dimension."""

import math

import pytest
import torch

from pixelrnn.likelihood.units import bits_per_dim, nats_to_bits_per_dim


def test_a_uniform_model_needs_the_bits_of_its_levels():
    assert bits_per_dim(-3 * 32 * 32 * math.log(256), (3, 32, 32)) == pytest.approx(8)
    assert bits_per_dim(torch.tensor(-math.log(2.0)), (1, 1, 1)).item() == pytest.approx(1)


def test_an_error_in_nats_keeps_its_sign():
    assert nats_to_bits_per_dim(12 * math.log(2), (3, 2, 2)) == pytest.approx(1)
