"""Batches of images: nothing that is finished is lost, and errors come at once."""

import pytest
import torch

from pixelrnn.generation.known import completions
from pixelrnn.generation.sources import draws
from pixelrnn.models import PixelCNN


@pytest.fixture
def model():
    torch.manual_seed(0)
    return PixelCNN((1, 3, 2), levels=2, hidden=2, layers=1)


def test_batches_are_yielded_as_they_finish(model):
    sizes = [len(chunk) for chunk in model.walk(draws(7, None), 7, batch_size=3)]
    assert sizes == [3, 3, 1]


def test_an_interrupt_keeps_what_is_finished(model):
    rows = []

    def interrupt(images, row):
        rows.append(row)
        if len(rows) == 5:
            raise KeyboardInterrupt

    finished = []
    chunks = model.walk(draws(6, None), 6, batch_size=2, on_row=interrupt)
    with pytest.raises(KeyboardInterrupt):
        finished.extend(chunks)
    assert rows == [0, 1, 2, 0, 1]
    assert len(torch.cat(finished)) == 2


def test_pictures_grow(model):
    seen = []
    generator = torch.Generator().manual_seed(0)
    images = torch.full((4, 1, 3, 2), 1, dtype=torch.uint8)
    known = torch.ones(3, 2, dtype=torch.bool)
    chunks = model.walk(
        completions(images, known, generator),
        4,
        on_row=lambda images, row: seen.append(images.clone()),
    )
    assert torch.equal(next(chunks), images)
    for row, picture in enumerate(seen):
        assert picture[:, :, : row + 1].all()
        assert not picture[:, :, row + 1 :].any()


def test_progress_counts_pixels(model, capsys):
    model.sample(5, batch_size=2, progress=True)
    assert "30.0/30.0" in capsys.readouterr().err
    model.sample(5, batch_size=2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "n must be at least 0, got -1"),
        ({"n": 1, "batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"n": 1, "temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"n": 2, "generator": [torch.Generator()]}, "one generator for each of 2 images, got 1"),
    ],
)
def test_errors_come_before_the_first_batch(model, arguments, message, capsys):
    with pytest.raises(ValueError, match=message):
        model.sample(**arguments, progress=True)
    assert capsys.readouterr().err == ""


def test_completion_checks_what_is_known(model):
    images = torch.zeros(2, 1, 3, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match="known must be bool"):
        model.complete(images, torch.zeros(2, 3, dtype=torch.bool))
