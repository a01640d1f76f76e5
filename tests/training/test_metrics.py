import pytest
import torch

from pixelrnn.training.metrics import NegativeLogLikelihood


def test_every_image_weighs_the_same_whatever_its_batch():
    log_prob = torch.randn(23) * 50 - 500
    metric = NegativeLogLikelihood()
    for part in log_prob.split([8, 8, 6, 1]):
        metric.update(part)
    mean, stderr = metric.compute()
    nats = -log_prob.double()
    assert mean.item() == pytest.approx(nats.mean().item(), rel=1e-12)
    assert stderr.item() == pytest.approx(nats.std().item() / 23**0.5, rel=1e-9)


def test_processes_of_any_share_are_one():
    """Merged as torchmetrics merges the states of processes, of which one had no image."""
    log_prob = torch.randn(13) * 50 - 500
    shares = log_prob.split([7, 6, 0])
    parts = [NegativeLogLikelihood() for _ in shares]
    for part, share in zip(parts, shares, strict=True):
        part.update(share)
    first, *others = parts
    for other in others:
        first.merge_state(other)
    whole = NegativeLogLikelihood()
    whole.update(log_prob)
    torch.testing.assert_close(first.compute(), whole.compute(), rtol=1e-12, atol=0)


def test_one_image_has_no_error():
    metric = NegativeLogLikelihood()
    metric.update(torch.tensor([-3.0]))
    assert [value.item() for value in metric.compute()] == [3.0, 0.0]


def test_sums_are_float64():
    metric = NegativeLogLikelihood()
    for _ in range(100):
        metric.update(torch.full((1000,), -6388.123, dtype=torch.float32))
    expected = torch.tensor(6388.123, dtype=torch.float32).double().item()
    assert metric.compute()[0].item() == pytest.approx(expected, rel=1e-13)
