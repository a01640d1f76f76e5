"""Pixels scored some at a time, against all at once: values, gradients, and how much is held."""

import pytest
import torch
from torch import nn

from pixelrnn.likelihood import Categorical, in_chunks
from pixelrnn.models import GatedPixelCNN, PixelCNN
from tests.helpers import CATALOGUE, name_of, random_images

LEVELS, FEATURES = 70, 6
KINDS = ("pixelcnn", "pixelcnn-tied-mixture", "gated_pixelcnn-embedded", "pixelsnail", "row_lstm")
KINDS += ("multi_scale", "multi_scale-embedded")
CASES = [case for case in CATALOGUE if case.name in KINDS]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 30])
def test_values_and_gradients_are_those_of_all_at_once(monkeypatch, dtype, count):
    monkeypatch.setattr(in_chunks, "NUMBERS", 10 * LEVELS)
    layer, likelihood = nn.Linear(FEATURES, LEVELS).to(dtype), Categorical(LEVELS)
    features = torch.randn(count, FEATURES, dtype=dtype, requires_grad=True)
    pixels = torch.randint(LEVELS, (count, 1))
    asked = []

    def score(features, pixels):
        asked.append(len(features))
        return likelihood.log_prob(layer(features), pixels)

    expected = score(features, pixels)
    asked.clear()
    found = in_chunks.log_prob(score, features, pixels, LEVELS)
    assert max(asked) <= 10
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype != torch.bfloat16 else {"rtol": 0.02, "atol": 0.1}
    torch.testing.assert_close(found, expected, **close)
    inputs = (features, *layer.parameters())
    weights = torch.randn_like(found)
    one, other = (torch.autograd.grad((weights * y).sum(), inputs) for y in (found, expected))
    torch.testing.assert_close(one, other, **close)
    with torch.no_grad():
        without = in_chunks.log_prob(score, features, pixels, LEVELS)
    assert torch.equal(without, found)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_model_scores_in_chunks_what_it_scores_at_once(case, monkeypatch):
    model, images = case((2, 3, 4), 5), random_images(3, (2, 3, 4), 5)

    def gradients(numbers):
        monkeypatch.setattr(in_chunks, "NUMBERS", numbers)
        model.zero_grad()
        log_prob = model.log_prob(images)
        (log_prob * torch.tensor([1.0, -2.0, 0.5])).sum().backward()
        return log_prob, [weight.grad for weight in model.parameters()]

    for numbers in (1, 70):
        torch.testing.assert_close(gradients(numbers), gradients(10**9))


def test_own_compositions_without_a_last_layer_score_too():
    """A model that does not say which layer is last computes all parameters together."""

    class Plain(PixelCNN):
        last_layer = None

    settings = {"hidden": 3, "layers": 1, "head_width": 4, "first_kernel_size": 3}
    plain, usual = Plain((1, 3, 3), 4, **settings), PixelCNN((1, 3, 3), 4, **settings)
    plain.load_state_dict(usual.state_dict())
    images = random_images(2, (1, 3, 3), 4)
    assert torch.equal(plain.log_prob(images), usual.log_prob(images))


class LargestTensor(torch.overrides.TorchFunctionMode):
    """Notes the most numbers that any operation gave."""

    most = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.most = max(self.most, found.numel())
        return found


def test_no_tensor_of_a_training_step_holds_all_parameters(monkeypatch):
    monkeypatch.setattr(in_chunks, "NUMBERS", 5000)
    model = GatedPixelCNN((1, 6, 7), 1000, hidden=4, layers=1, head_width=4, embed=3)
    images = random_images(4, (1, 6, 7), 1000)
    weight = 1000 * 4
    with LargestTensor() as seen:
        model.log_prob(images).sum().backward()
    assert weight <= seen.most <= 5000  # all parameters are 168,000 numbers
