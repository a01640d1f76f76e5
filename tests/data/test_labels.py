"""Labels stand beside the images, in their order."""

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from pixelrnn.data import CIFAR10, MNIST, Digits, DownsampledImageNet, ImageSet, Mesh, Patches
from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.batches import Labelled, RandomCrops, examples
from pixelrnn.data.mnist import read_idx_labels
from pixelrnn.data.sampler import Batch
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
    sets = [
        Patches(),
        Mesh(train_size=9),
        stored_sets.mnist(tmp_path)[0],
        stored_sets.imagenet(tmp_path, "imagenet32_oord")[0],
    ]
    for module in sets:
        module.prepare_data()
        assert module.labels("train") is None
        assert module.classes is None
        assert next(iter(module.train_dataloader())).labels is None


def test_the_classes_are_known_before_any_file_is_read():
    digits = tuple("0123456789")
    assert Digits().class_names == MNIST(binarize="dynamic").class_names == digits
    assert CIFAR10().class_names[:3] == ("airplane", "automobile", "bird")
    assert (Digits().classes, CIFAR10().classes) == (10, 10)
    assert DownsampledImageNet(version="imagenet32_box").classes == 1000


@pytest.mark.parametrize("settings", [{}, {"on_device": True}, {"num_workers": 1}])
def test_a_label_goes_with_its_image(settings):
    """Shuffled, of several processes, on a device, by loader processes, and in evaluation."""
    data = Digits(batch_size=100, **settings)
    of_image = {
        image.tobytes(): label
        for image, label in zip(data.images("train"), data.labels("train").tolist(), strict=True)
    }
    seen = 0
    for rank in (0, 1):
        data._share = lambda rank=rank: (rank, 2)
        for images, labels in data.train_dataloader():
            assert labels.dtype == torch.int64
            assert labels.tolist() == [of_image[image.tobytes()] for image in images.numpy()]
            seen += len(images)
    assert seen == 1347
    data._share = lambda: (0, 1)
    for split in ("val", "test"):
        labels = torch.cat([batch.labels for batch in data.eval_dataloader(split)])
        np.testing.assert_array_equal(labels, data.labels(split))


def test_draws_and_crops_have_the_labels_of_their_images(tmp_path):
    module, _ = stored_sets.mnist(tmp_path, "dynamic")
    module.prepare_data()
    order = np.array([7, 0, 3])
    drawn = module.training_set()[Batch(4, order)]
    assert drawn.labels.tolist() == module.labels("train")[order].tolist()
    tiles = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 6, 6), np.uint8)
    crops = Labelled(RandomCrops(tiles, 4, crops=10, seed=0), np.arange(3))
    images, labels = crops[Batch(0, np.arange(10))]
    assert labels.tolist() == images[:, 0, 0, 0].tolist() == [0, 1, 2] * 3 + [0]


def test_a_batch_of_another_loader_is_taken():
    images, labels = torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.tensor([1, 0])
    assert examples(images) == (images, None)
    assert examples([images, labels]) == examples((images, labels)) == (images, labels)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "names 2 classes, but it has no labels"),
        (np.zeros(3, np.int64), r"expected int64 labels \(4,\), found int64 \(3,\)"),
        (np.zeros(4), r"expected int64 labels \(4,\), found float64"),
        (np.array([0, 1, 2, 0]), r"wrong train: expected labels in \[0, 2\), found 2"),
        (np.array([0, 1, -1, 0]), "found -1"),
    ],
)
def test_labels_that_are_not_what_was_said_are_refused(labels, says):
    class Wrong(ImageSet):
        image_shape, levels, dataset_id = (1, 4, 4), 9, "wrong"
        class_names = ("a", "b")

        def load(self, split):
            return np.zeros((4, 1, 4, 4), np.uint8)

        def labels(self, split):
            return labels

    with pytest.raises(DataError, match=says):
        PixelDataModule(Wrong()).setup()


def test_there_are_no_labels_of_a_split_that_is_not_there(tmp_path):
    module, _ = stored_sets.cifar10(tmp_path, val_size=0)
    with pytest.raises(DataError, match="has no val split"):
        module.labels("val")


def test_a_conversion_of_an_earlier_version_is_done_again(tmp_path, caplog):
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
    module, _ = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    (line,) = [record.message for record in caplog.records if "earlier version" in record.message]
    assert line.startswith("cifar10: what lies in")
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
