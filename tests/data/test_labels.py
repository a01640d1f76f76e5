"""Labels stand beside the images, in their order."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pixelrnn.data import Digits, Mesh, Patches
from pixelrnn.data.mnist import read_idx_labels
from pixelrnn.errors import DataError
from tests.data import raw_formats as raw
from tests.data import stored_sets

VAL = 5  # images that the tiny sets keep for validation


def _split(train, test):
    return {"train": train[:-VAL], "val": train[-VAL:], "test": test}


def _check(module, expected):
    for split, labels in expected.items():
        found = module.labels(split)
        assert found.dtype == np.int64
        assert found.tolist() == list(labels)
        assert len(found) == len(module.images(split))


def test_digits_say_what_they_show():
    target = load_digits().target
    expected = {"train": target[:1347], "val": target[1347:1572], "test": target[1572:]}
    _check(Digits(binary=True), expected)


def test_cifar10_keeps_the_labels_of_its_records(tmp_path):
    module, images = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    labels = [index % 10 for index in range(10)]
    _check(module, _split(labels * 5, labels))
    assert len(images["train"]) == 50


@pytest.mark.parametrize("binarize", ["dynamic", "threshold", "none"])
def test_mnist_reads_its_label_files(binarize, tmp_path):
    module, images = stored_sets.mnist(tmp_path, binarize)
    module.prepare_data()
    train, test = (stored_sets.labels_of(len(images[part])) for part in ("train", "test"))
    _check(module, _split(train, test))


def test_the_box_version_of_imagenet_counts_from_nought(tmp_path):
    module, _ = stored_sets.imagenet(tmp_path, "imagenet32_box")
    module.prepare_data()
    assert module.labels("train").tolist() == [0, 1] * 10
    assert module.labels("test").tolist() == list(range(10))


def test_sets_without_labels_say_so(tmp_path):
    for module in (Patches(), Mesh(), stored_sets.mnist(tmp_path)[0]):
        assert module.labels("train") is None
    module, _ = stored_sets.imagenet(tmp_path, "imagenet32_oord")
    assert module.labels("val") is None


def test_there_are_no_labels_of_a_split_that_is_not_there(tmp_path):
    module, _ = stored_sets.cifar10(tmp_path, val_size=0)
    with pytest.raises(DataError, match="has no val split"):
        module.labels("val")


def test_a_conversion_of_an_earlier_version_is_done_again(tmp_path):
    """Earlier versions threw the labels away."""
    module, images = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    store = module.image_set.store
    meta = json.loads((store.folder / "meta.json").read_text())
    for part in ("train_labels", "test_labels"):
        (store.folder / f"{part}.npy").unlink()
        del meta["parts"][part], meta["recipe"]["shapes"][part]
    (store.folder / "meta.json").write_text(json.dumps(meta))
    assert not store.ready()
    module.prepare_data()
    assert len(module.labels("train")) == 45
    np.testing.assert_array_equal(module.image_set.part("train"), images["train"])


def test_a_conversion_without_labels_stays_as_earlier_versions_wrote_it(tmp_path):
    """Gigabytes that were converted before need not be converted again."""
    module, _ = stored_sets.imagenet(tmp_path, "imagenet32_oord")
    shapes = {"train": [20, 3, 32, 32], "valid": [10, 3, 32, 32]}
    recipe = {"format": 1, "name": "imagenet32_oord", "shapes": shapes}
    assert module.image_set.store.recipe() == recipe


@pytest.mark.parametrize("what", ["count", "range", "images", "cut", "not gzip"])
def test_bad_label_files_are_refused(what, tmp_path):
    path = tmp_path / "labels.gz"
    raw.write_idx_labels(path, [1, 2, 10 if what == "range" else 3])
    if what == "images":
        raw.write_idx(path, raw.pixels(0, 3, 1, 28, 28))
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-12])
    elif what == "not gzip":
        path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"labels\.gz: expected"):
        read_idx_labels(path, 4 if what == "count" else 3)
