"""A batch in parts has the gradient of the whole; memory that does not suffice is survived."""

import pytest
import torch

from pixelrnn.errors import ConfigError, TrainingError
from pixelrnn.models import PixelCNN
from pixelrnn.training import checks, in_parts
from pixelrnn.training.in_parts import InParts
from tests.helpers import random_images, randomise

TOLERANCE = 1e-12  # sums of a few terms in float64, in another order


def model_and_batch(count, classes=None):
    model = randomise(PixelCNN((1, 3, 2), 4, hidden=4, layers=1, head_width=4, classes=classes))
    images = random_images(count, (1, 3, 2), 4)
    labels = torch.arange(count) % classes if classes else None
    return model.double(), (images if labels is None else (images, labels))


def gradients(model, log_prob):
    model.zero_grad()
    (log_prob.sum() * 0.3).backward()
    return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 6])
@pytest.mark.parametrize("parts", [1, 2, 4, 8])
def test_values_and_gradients_are_those_of_the_whole(classes, count, parts):
    model, batch = model_and_batch(count, classes)

    def of(batch):
        images, labels = batch if classes else (batch, None)
        return model.log_prob(images, labels)

    whole = of(batch)
    split = InParts()
    split.parts = parts
    mended = split.log_prob(of, batch, model.parameters(), print)
    assert mended.shape == (count,)
    torch.testing.assert_close(mended, whole, rtol=TOLERANCE, atol=TOLERANCE)
    for one, other in zip(gradients(model, mended), gradients(model, whole), strict=True):
        torch.testing.assert_close(one, other, rtol=TOLERANCE, atol=TOLERANCE)


ERRORS = [
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
]


def needs_at_most(most, of, error, draws):
    """A model for which memory suffices only for so many images; it draws, as dropout does."""

    def limited(images):
        draws.append(torch.rand(()).item())
        if len(images) > most:
            raise error
        return of(images)

    return limited


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_parts_double_until_they_fit_and_draw_the_same(error):
    model, images = model_and_batch(6)
    told, draws = [], []
    split = InParts()
    of = needs_at_most(2, model.log_prob, error, draws)
    log_prob = split.log_prob(of, images, model.parameters(), told.append)
    assert told == [2, 4]
    assert draws[0] == draws[1] == draws[2]  # each try begins with the same state
    torch.testing.assert_close(log_prob, model.log_prob(images))
    split.log_prob(of, images, model.parameters(), told.append)
    assert told == [2, 4]


def test_an_image_that_does_not_fit_and_other_errors_come_out():
    model, images = model_and_batch(4)
    for error in (ERRORS[1], RuntimeError("size mismatch")):
        of = needs_at_most(0, model.log_prob, error, [])
        with pytest.raises(type(error), match=str(error)):
            InParts().log_prob(of, images, model.parameters(), print)


def test_a_loss_that_weighs_images_unequally_is_refused():
    model, images = model_and_batch(2)
    log_prob = InParts().log_prob(model.log_prob, images, model.parameters(), print)
    with pytest.raises(RuntimeError, match="weighs all its images alike"):
        (log_prob * torch.tensor([1.0, 2.0])).sum().backward()


def test_the_line_names_the_keys_that_help():
    config = {
        "on_out_of_memory": "stop",
        "data": {"batch_size": 64, "eval_batch_size": 128},
        "model": {"checkpoint_layers": False},
    }
    for error in ERRORS:
        with pytest.raises(TrainingError) as told, in_parts.explained(config):
            raise error
        keys = ("batch_size=64", "eval_batch_size=128", "on_out_of_memory=halve", "checkpoint_lay")
        assert all(key in str(told.value) for key in keys)
        assert "\n" not in str(told.value)
    with pytest.raises(RuntimeError, match="other"), in_parts.explained(config):
        raise RuntimeError("other")


def test_half_precision_is_refused():
    config = {"trainer": {"precision": "16-mixed"}, "on_out_of_memory": "halve"}
    with pytest.raises(ConfigError, match="does not go with trainer"):
        checks._check_halving(config)
