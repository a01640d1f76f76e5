"""What autograd gives each weight is its own memory, so that it can be clipped and added to."""

import pytest

from tests.helpers import CATALOGUE, name_of, random_images


@pytest.mark.parametrize("case", CATALOGUE, ids=name_of)
def test_gradients_of_weights_share_no_memory(case):
    """torch.stack(weights).sum(0) gives all of them one gradient, which is then clipped twice."""
    model = case((3, 4, 4), 4).float()  # what kernels serve
    images = random_images(2, (3, 4, 4), 4)
    (-model.log_prob(images).mean()).backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    for number, gradient in enumerate(gradients):
        gradient.fill_(number)
    for number, gradient in enumerate(gradients):
        assert (gradient == number).all()
