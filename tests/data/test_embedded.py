"""The two sets that need no download."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images

from pixelrnn.data import Digits, ImageSet, Patches
from pixelrnn.data.base import SPLITS, PixelDataModule
from pixelrnn.data.batches import RandomCrops
from pixelrnn.data.patches import split_of
from pixelrnn.data.sampler import Batch
from pixelrnn.errors import DataError


def test_digits_are_split_in_file_order():
    data = Digits()
    parts = [data.images(split) for split in SPLITS]
    assert [len(part) for part in parts] == [1347, 225, 225]
    assert np.array_equal(np.concatenate(parts)[:, 0], load_digits().images)
    assert (data.image_shape, data.levels, parts[0].max()) == ((1, 8, 8), 17, 16)


def test_binary_digits():
    data, grey = Digits(binary=True), Digits()
    assert data.levels == 2
    assert np.array_equal(data.images("val"), grey.images("val") >= 8)


@pytest.mark.parametrize(("size", "val"), [(8, 768), (16, 192), (32, 48), (64, 12)])
def test_patches_tile_their_tiles(size, val):
    data = Patches(size=size)
    assert [len(data.images(split)) for split in SPLITS] == [8 * val, val, val]
    assert data.images("val").shape[1:] == data.image_shape == (3, size, size)


def marked_photos(monkeypatch):
    """Photographs whose pixels say which tile they are in."""
    row, column = np.divmod(np.arange(6 * 10), 10)
    number = np.zeros((427, 640), dtype=np.uint8)
    for r, c in zip(row, column, strict=True):
        number[r * 64 : r * 64 + 64, c * 64 : c * 64 + 64] = r * 10 + c
    photos = type("Photos", (), {"images": [np.repeat(number[..., None], 3, axis=2)] * 2})
    monkeypatch.setattr("sklearn.datasets.load_sample_images", lambda: photos)


@pytest.mark.parametrize("size", [8, 32])
def test_no_crop_leaves_its_tile_and_no_tile_is_in_two_splits(monkeypatch, size):
    marked_photos(monkeypatch)
    data = Patches(size=size, crops_per_epoch=300)
    seen = {}
    for split in SPLITS:
        images = data.images(split)
        assert (images == images[:, :1, :1, :1]).all()
        seen[split] = set(images[:, 0, 0, 0].tolist())
        assert all(split_of(*divmod(tile, 10)) == split for tile in seen[split])
    random = data.training_set()[Batch(0, np.arange(300))].images.numpy()
    assert (random == random[:, :1, :1, :1]).all()
    assert set(random[:, 0, 0, 0].tolist()) <= seen["train"]
    assert [len(seen[split]) for split in SPLITS] == [48, 6, 6]


def test_crops_are_pixels_of_the_photographs_in_their_places():
    photo = load_sample_images().images[0]
    crops = Patches(size=16).images("test")
    row, column = next((r, c) for r in range(6) for c in range(10) if split_of(r, c) == "test")
    expected = photo[row * 64 + 16 : row * 64 + 32, column * 64 : column * 64 + 16]
    assert np.array_equal(crops[4].transpose(1, 2, 0), expected)


def test_random_crops_are_keyed_by_seed_epoch_and_index():
    data = Patches(size=16, crops_per_epoch=100, seed=1)
    crops = data.training_set()
    together = crops[Batch(3, np.array([5, 60, 7]))].images
    assert torch.equal(together[1], crops[Batch(3, np.array([60]))].images[0])
    assert not torch.equal(together, crops[Batch(4, np.array([5, 60, 7]))].images)
    again = Patches(size=16, crops_per_epoch=100, seed=1).training_set()
    assert torch.equal(together, again[Batch(3, np.array([5, 60, 7]))].images)


def test_another_seed_draws_other_crops():
    batch = Batch(3, np.arange(20))
    first, other = (Patches(size=8, seed=seed).training_set()[batch].images for seed in (1, 2))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_random_crops_begin_at_every_place_of_their_tile(size):
    tile = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4)[..., :3]
    crops = RandomCrops(tile, size, 300, seed=0)[Batch(0, np.arange(300))]
    corners = {int(crop[0, 0, 0]) for crop in crops}
    places = range(4 - size)
    assert corners == {4 * row + column for row in places for column in places}
    for crop in crops[:20]:
        row, column = divmod(int(crop[0, 0, 0]), 4)
        assert np.array_equal(crop[0], tile[0, 0, row : row + size, column : column + size])


def test_workers_change_nothing():
    def batches(workers):
        loader = Patches(size=8, crops_per_epoch=40, num_workers=workers).train_dataloader()
        return torch.cat([batch.images for batch in loader])

    assert torch.equal(batches(0), batches(2))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((2, 1, 4, 5), np.uint8), r"expected uint8 images \(1, 4, 4\)"),
        (np.zeros((2, 1, 4, 4), np.float32), "float32"),
        (np.full((2, 1, 4, 4), 9, np.uint8), "must be below 9, found 9"),
        (np.zeros((0, 1, 4, 4), np.uint8), "no images"),
    ],
)
def test_images_that_are_not_what_was_said_are_refused(images, says):
    class Wrong(ImageSet):
        image_shape, levels, dataset_id = (1, 4, 4), 9, "wrong"

        def load(self, split):
            return images

    data = PixelDataModule(Wrong())
    with pytest.raises(DataError, match=says):
        data.setup()


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="size"):
        Patches(size=12)
    with pytest.raises(ValueError, match="batch_size"):
        Digits(batch_size=0)
