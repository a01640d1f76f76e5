"""A batch without images, as a share of a ragged batch can be, goes through every model."""

import pytest
import torch

from tests.helpers import CATALOGUE, name_of, random_images

SHAPES = [(3, 3, 4), (1, 1, 1)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_an_empty_batch(case, dtype):
    for shape in SHAPES:
        model = case(shape, 4, dtype=dtype)
        images = random_images(0, shape, 4)
        log_prob = model.log_prob(images)
        assert log_prob.shape == (0,)
        log_prob.sum().backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        assert all(gradient is None or not gradient.any() for gradient in gradients)
        assert model.conditionals(images).shape == (0, shape[0], 4, *shape[1:])
