"""Images of more than 256 levels: uint16 or int32 in arrays, int32 in batches."""

import numpy as np
import pytest
import torch

from pixelrnn.data import PixelDataModule, checks
from pixelrnn.data.batches import RandomCrops
from pixelrnn.data.image_set import ImageSet
from pixelrnn.data.sampler import Batch
from pixelrnn.errors import DataError

SHAPE = (2, 3, 4)


class Codes(ImageSet):
    """Codes of 1000 levels as an array of any dtype, or a memory map."""

    def __init__(self, dtype, path=None):
        self.image_shape, self.levels, self.dataset_id = SHAPE, 1000, "codes"
        values = np.random.default_rng(0).integers(1000, size=(9, *SHAPE)).astype(dtype)
        if path is not None:
            np.save(path, values)
        self.values = values if path is None else np.load(path, mmap_mode="r")

    def load(self, split):
        return self.values


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize("place", ["array", "map", "device", "subsampled"])
def test_batches_are_int32(tmp_path, dtype, place):
    images = Codes(dtype, tmp_path / "x.npy" if place == "map" else None)
    data = PixelDataModule(
        images,
        batch_size=4,
        on_device=place == "device",
        subsample=2 if place == "subsampled" else 1,
    )
    data.setup()
    batches = list(data.test_dataloader())
    assert {batch.images.dtype for batch in batches} == {torch.int32}
    expected = images.values[..., ::2, ::2] if place == "subsampled" else images.values
    np.testing.assert_array_equal(torch.cat([batch.images for batch in batches]), expected)
    assert next(iter(data.train_dataloader())).images.dtype == torch.int32


def test_random_crops_are_int32():
    tiles = Codes(np.uint16).values[..., :3]
    found = RandomCrops(tiles, 2, 5, seed=0)[Batch(0, np.arange(3))]
    assert (found.dtype, found.shape) == (torch.int32, (3, 2, 2, 2))


@pytest.mark.parametrize(
    ("images", "levels", "says"),
    [
        (np.zeros((1, *SHAPE), np.uint8), 257, "expected uint16 or int32 images .* found uint8"),
        (np.zeros((1, *SHAPE), np.int64), 257, "expected uint16 or int32 images .* found int64"),
        (np.zeros((1, *SHAPE), np.uint16), 256, "expected uint8 images .* found uint16"),
        (np.full((1, *SHAPE), 257, np.uint16), 257, "must be below 257, found 257"),
        (np.full((1, *SHAPE), -3, np.int32), 65_536, "must be below 65536, found -3"),
        (np.full((1, *SHAPE), 65_536, np.int32), 65_536, "must be below 65536, found 65536"),
    ],
    ids=str,
)
def test_wrong_values_and_dtypes_are_refused(images, levels, says):
    with pytest.raises(DataError, match=says):
        checks.check_images("codes train", images, SHAPE, levels)


def test_the_last_block_of_many_images_is_looked_at(monkeypatch):
    monkeypatch.setattr(checks, "_BLOCK", 50)
    images = np.zeros((7, *SHAPE), np.uint16)
    checks.check_images("codes", images, SHAPE, 300)
    images[-1, 1, 2, 3] = 300
    with pytest.raises(DataError, match="below 300, found 300"):
        checks.check_images("codes", images, SHAPE, 300)
