"""The Diagonal BiLSTM with `full_context` begins as the network without it."""

import torch

from pixelrnn.models import DiagonalBiLSTM
from tests.helpers import random_images


def seeded(**settings):
    torch.manual_seed(0)
    model = DiagonalBiLSTM((3, 5, 4), 8, hidden=5, layers=2, head_width=7, **settings)
    return model, torch.rand(())


def test_full_context_begins_as_the_plain_network():
    """The same weights and likelihoods from the same seed; and it can learn from there."""
    (plain, drawn), (full, drawn_after) = seeded(), seeded(full_context=True)
    weights = dict(full.named_parameters())
    added = weights.pop("stem.row_end.weight")
    assert weights.keys() == dict(plain.named_parameters()).keys()
    assert all(torch.equal(weights[name], weight) for name, weight in plain.named_parameters())
    assert torch.equal(drawn, drawn_after)
    images = random_images(2, (3, 5, 4), 8)
    log_prob = full.log_prob(images)
    assert torch.equal(log_prob, plain.log_prob(images))
    log_prob.sum().backward()
    assert added.grad.abs().min() > 0
