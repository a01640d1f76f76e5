"""The exact pass over splits, against a plain computation over all their images at once."""

import math

import numpy as np
import pytest
import torch

from pixelrnn.data import PixelDataModule
from pixelrnn.data.image_set import ImageSet
from pixelrnn.models import PixelCNN
from pixelrnn.training.evaluate import evaluate_splits
from tests.helpers import random_images, randomise

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed
SHAPE, LEVELS = (3, 4, 2), 6
IMAGES = random_images(1003, SHAPE, LEVELS).numpy()
LABELS = [0] * 900 + [1] * 103


class Given(ImageSet):
    """Images and labels that are written down for each split."""

    image_shape, levels, dataset_id, class_names = SHAPE, LEVELS, "given", ("a", "b")

    def __init__(self, **parts):
        self.parts = parts
        self.splits = tuple(parts)

    def load(self, split):
        return self.parts[split][0]

    def labels(self, split):
        return np.array(self.parts[split][1], np.int64)


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
    found = evaluate_splits(model, data, ("train", "val", "test"))
    wanted = {}
    for split, (images, labels) in parts.items():
        wanted |= expected(model, split, images, labels)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert abs(found["val/nll"] - found["test/nll"]) > 1e-3
