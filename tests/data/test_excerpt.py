"""Excerpts stand for a set: its shape and levels, and few of its images."""

import numpy as np
import pytest

from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.cifar10 import CIFAR10Images
from pixelrnn.data.codes import CodesImages
from pixelrnn.data.digits import DigitsImages
from pixelrnn.data.excerpt import Drawn, Excerpt, at_hand
from pixelrnn.data.own_images import OwnImages
from pixelrnn.data.patches import PatchesImages
from tests.data import own_files


def test_an_excerpt_keeps_what_training_sees_and_the_first_of_other_images(tmp_path):
    for whole in (DigitsImages(), PatchesImages(size=8)):
        assert at_hand(whole)
        data = PixelDataModule(Excerpt(whole, 5))
        assert data.dataset_id == whole.dataset_id
        assert np.array_equal(data.images("train"), whole.load("train"))
        assert np.array_equal(data.images("test"), whole.load("test")[:5])
        labels = whole.labels("val")
        assert labels is None or np.array_equal(data.labels("val"), labels[:5])
        assert (data.image_set.training_set(0) is None) == (whole.training_set(0) is None)


def test_own_files_are_counted_about_before_they_are_converted(tmp_path):
    photos = own_files.folder(tmp_path / "photos", count=200, height=8, width=12)
    whole = own_files.folder(tmp_path / "pets" / "train", count=3).parent
    own_files.folder(whole / "test", count=2)
    codes = own_files.codes(tmp_path, count=400)
    for kind, settings, exact in (
        (OwnImages, {"path": photos, "fit": "tiles", "size": 4}, False),
        (OwnImages, {"path": photos, "test": whole, "size": 8, "val": 0.25}, False),
        (OwnImages, {"path": whole, "val": 0.0}, True),
        (CodesImages, {"path": codes, "val": codes, "test": 0.2}, False),
    ):
        images = kind(root=tmp_path / "data", **settings)
        about = {split: images.estimated_count(split) for split in images.splits}
        assert not at_hand(images)
        assert images.store.folder.exists() is False
        assert Drawn(images, 5, 10**6).count("test") == about["test"]
        images.prepare()
        found = {split: images.count(split) for split in images.splits}
        assert {s: images.estimated_count(s) for s in images.splits} == found
        assert sum(about.values()) == pytest.approx(sum(found.values()), abs=1)
        for split in images.splits:
            assert about[split] == pytest.approx(found[split], rel=0 if exact else 0.5)


@pytest.mark.parametrize("levels", [2, 17, 256, 1000])
def test_drawn_images_are_checked_images_of_the_same_shape(levels, tmp_path):
    whole = CIFAR10Images(root=tmp_path / "none")
    assert not at_hand(whole)
    drawn = Drawn(whole, training_images=300, images=7)
    drawn.levels = levels
    data = PixelDataModule(drawn, batch_size=4)
    data.setup()  # checks shape, dtype, values and labels
    assert data.images("train").shape == (300, 3, 32, 32)
    assert data.images("val").shape == (7, 3, 32, 32)
    assert data.images("train").max() == levels - 1
    assert len(data.train_dataloader()) == 75
    assert not (tmp_path / "none").exists()
    assert Drawn(whole, training_images=3, images=10**6).count("test") == 10_000
