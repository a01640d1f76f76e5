"""The exact pass over splits, against a plain computation over all their images at once."""

import math

import numpy as np
import pytest
import torch

from pixelrnn.data import PixelDataModule
from pixelrnn.data.image_set import ImageSet
from pixelrnn.models import PixelCNN
from pixelrnn.training import evaluate
from tests.helpers import random_images, randomise

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
SHAPE, LEVELS = (3, 4, 2), 6
IMAGES = random_images(1003, SHAPE, LEVELS).numpy()
LABELS = [0] * 900 + [1] * 103


class Given(ImageSet):
    """Images and labels that are written down for each split; labels may be None."""

    image_shape, levels, dataset_id = SHAPE, LEVELS, "given"

    def __init__(self, **parts):
        self.parts = parts
        self.splits = tuple(parts)
        self.class_names = () if parts["train"][1] is None else ("a", "b")

    def load(self, split):
        return self.parts[split][0]

    def labels(self, split):
        found = self.parts[split][1]
        return None if found is None else np.array(found, np.int64)


def expected(model, split, images, labels):
    """Every metric by its definition, in float64."""
    with torch.no_grad():
        nats = -model.double().log_prob(torch.from_numpy(images), torch.tensor(labels))
    model.float()
    mean, error = nats.mean().item(), nats.std().item() / math.sqrt(len(nats))
    bit = math.log(2) * math.prod(SHAPE)
    return {
        f"{split}/images": len(images),
        f"{split}/nll": mean,
        f"{split}/nll_stderr": error,
        f"{split}/bits_per_dim": mean / bit,
        f"{split}/bits_per_dim_stderr": error / bit,
    }


def test_each_split_has_its_own_exact_likelihood():
    """Of splits that are nearly another: its first images, or its images with other labels."""
    model = PixelCNN(SHAPE, LEVELS, hidden=4, layers=1, head_width=6, classes=2)
    randomise(model, 0.3).eval()
    parts = {
        "train": (IMAGES[:1000], LABELS[:1000]),
        "val": (IMAGES, LABELS),
        "test": (IMAGES, [1 - label for label in LABELS]),
    }
    data = PixelDataModule(Given(**parts), eval_batch_size=400)
    found = evaluate.evaluate_splits(model, data, ("train", "val", "test"))
    wanted = {}
    for split, (images, labels) in parts.items():
        wanted |= expected(model, split, images, labels)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert abs(found["val/nll"] - found["test/nll"]) > 1e-3


def test_of_images_without_labels_the_first_ones_are_a_split_of_their_own(monkeypatch):
    """Splits are compared a thousand images at a time."""
    passes = []

    def noted(model, data, split, *more):
        passes.append(split)
        return {f"{split}/images": len(data.images(split))}

    monkeypatch.setattr(evaluate, "evaluate", noted)
    parts = {"train": (IMAGES, None), "val": (IMAGES[:1000], None), "test": (IMAGES, None)}
    found = evaluate.evaluate_splits(None, PixelDataModule(Given(**parts)), parts)
    assert passes == ["train", "val"]
    assert found == {"train/images": 1003, "val/images": 1000, "test/images": 1003}
