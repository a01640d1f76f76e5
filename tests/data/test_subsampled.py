"""Every f-th row and column of a set, in evaluation and in training alike."""

import numpy as np
import pytest
import torch

from pixelrnn.data import MNIST, Digits, Mesh, Patches
from pixelrnn.data.digits import DigitsImages
from pixelrnn.data.published import PublishedImages
from pixelrnn.data.subsampled import Subsampled
from pixelrnn.data.synthetic import SyntheticImages


@pytest.mark.parametrize("factor", [2, 3, (1, 4), (8, 2)], ids=str)
def test_images_are_every_so_many_th_pixel(factor):
    whole, small = Digits(), Digits(subsample=factor)
    rows, columns = (factor, factor) if isinstance(factor, int) else factor
    expected = whole.images("test")[:, :, ::rows, ::columns]
    assert np.array_equal(small.images("test"), expected)
    assert small.image_shape == expected.shape[1:]
    assert np.array_equal(small.labels("test"), whole.labels("test"))
    assert small.classes == whole.classes
    assert small.dataset_id == f"digits_subsampled_{rows}x{columns}"
    assert Digits(subsample=1).dataset_id == "digits"


def test_training_sees_the_same_crops():
    settings = {"size": 16, "crops_per_epoch": 32, "seed": 3}
    whole, small = Patches(**settings), Patches(**settings, subsample=2)
    for large, sub in zip(whole.train_dataloader(), small.train_dataloader(), strict=True):
        assert torch.equal(large.images[:, :, ::2, ::2], sub.images)
    assert len(small.training_set()) == 32


def test_a_known_entropy_is_that_of_the_whole_images_alone():
    assert isinstance(Mesh().image_set, SyntheticImages)
    assert not isinstance(Mesh(subsample=2).image_set, SyntheticImages)


def test_files_are_those_of_the_whole_set(tmp_path):
    small = MNIST(root=tmp_path, subsample=2)
    assert isinstance(small.image_set.whole, PublishedImages)
    assert small.image_set.state() == MNIST(root=tmp_path).image_set.state()
    assert small.image_shape == (1, 14, 14)


def test_changed_files_are_other_small_images_too():
    """Without a hash of its content a changed folder would count as trained on before."""

    class Changing(DigitsImages):
        content_id = "0123456789abcdef"

    assert Subsampled(Changing(), (2, 2)).content_id == Changing.content_id
    assert Digits(subsample=2).content_id is None


@pytest.mark.parametrize("factor", [0, -1, (2, 0), 1.5])
def test_wrong_factors_are_refused(factor):
    with pytest.raises(ValueError, match="subsample"):
        Digits(subsample=factor)
