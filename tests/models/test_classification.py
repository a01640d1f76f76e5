"""Bayes' rule against the definition, with a model whose probabilities are written down."""

import pytest
import torch

from pixelrnn.models import PixelCNN
from pixelrnn.models.base import ImageDistribution
from pixelrnn.models.classification import class_log_probs, joint_log_probs
from tests.helpers import all_images

P = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.1, 0.3]], dtype=torch.float64)
"""p(x | y) of images of one pixel with three levels, two classes."""


class Table(ImageDistribution):
    def __init__(self):
        super().__init__((1, 1, 1), levels=3, classes=2)

    def _log_prob(self, images, labels=None):
        return P[labels, images.flatten().long()].log()

    def _conditionals(self, images, labels=None):
        raise NotImplementedError

    def _generate(self, n, source, labels=None, *, on_row=None, steps_only=False):
        raise NotImplementedError


@pytest.mark.parametrize("counts", [[1, 1], [30, 10], [0, 5]])
def test_bayes_rule(counts):
    images = all_images((1, 1, 1), 3)
    prior = torch.tensor(counts, dtype=torch.float64) / sum(counts)
    joint = joint_log_probs(class_log_probs(Table(), images), torch.tensor(counts))
    expected = P.T * prior
    torch.testing.assert_close(joint.exp(), expected)
    torch.testing.assert_close(joint.logsumexp(1).exp(), expected.sum(1))
    assert joint.logsumexp(1).exp().sum().item() == pytest.approx(1)
    assert joint.argmax(1).tolist() == expected.argmax(1).tolist()


def test_no_images_and_no_classes():
    empty = torch.zeros(0, 1, 1, 1, dtype=torch.uint8)
    assert class_log_probs(Table(), empty).shape == (0, 2)
    with pytest.raises(ValueError, match="the model has no classes"):
        class_log_probs(PixelCNN((1, 1, 1), 3, hidden=2, layers=1), empty)
