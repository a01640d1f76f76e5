"""Fashion-MNIST is read from a folder of its files, drawn once for all, and never a damaged one."""

import shutil

import numpy as np
import pytest

from pixelrnn.data import FashionMNIST, fashion_mnist
from pixelrnn.errors import DataError
from tests.data import raw_formats as raw
from tests.data import stored_sets


def packaged(root, **settings):
    """A tiny set whose files lie in another folder, packed anew as Debian does."""
    folder = root / "package"
    module, images = stored_sets.fashion_mnist(root / "data", folder=folder, **settings)
    folder.mkdir()
    for path in (root / "data" / "raw").iterdir():
        target = folder / path.name.removeprefix("fashion-")
        target.write_bytes(repacked(path))
    shutil.rmtree(root / "data" / "raw")
    return module, images, folder


def repacked(path):
    """The same content in other bytes."""
    data = bytearray(path.read_bytes())
    data[4:8] = b"\x01\x02\x03\x04"  # the time in gzip's header
    return bytes(data)


def test_files_that_lie_in_a_folder_are_read_there(tmp_path):
    module, images, _ = packaged(tmp_path)
    assert module.image_set.state() == "raw files there"
    module.prepare_data()
    assert module.image_set.state() == "ready"
    np.testing.assert_array_equal(module.images("test"), images["test"])
    assert module.labels("test").tolist() == stored_sets.labels_of(len(images["test"]))
    assert module.class_names[9] == "ankle boot"
    assert not (tmp_path / "data" / "raw").exists()  # neither copied nor fetched


def test_the_folder_of_debian_goes_before_the_network(tmp_path, monkeypatch):
    module, images, folder = packaged(tmp_path)
    module.image_set.folder = None
    assert module.image_set.state() == "not there"
    monkeypatch.setattr(fashion_mnist, "DEBIAN", folder)
    module.prepare_data()
    np.testing.assert_array_equal(module.images("test"), images["test"])


@pytest.mark.parametrize("what", ["other", "cut", "none"])
def test_a_wrong_file_in_the_folder_is_refused(what, tmp_path):
    module, images, folder = packaged(tmp_path)
    path = folder / "t10k-images-idx3-ubyte.gz"
    if what == "other":
        raw.write_idx(path, 255 - images["test"])
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()
    says = "is not there" if what == "none" else "expected MD5 [0-9a-f]+ of what it holds, found"
    with pytest.raises(DataError, match=says):
        module.prepare_data()
    assert not module.image_set.store.ready()


def test_static_images_are_one_draw_and_dynamic_ones_many(tmp_path):
    static, images, _ = packaged(tmp_path / "static", binarize="static")
    dynamic, _, _ = packaged(tmp_path / "dynamic", binarize="dynamic")
    other, _, _ = packaged(tmp_path / "other", binarize="static", seed=7)
    for module in (static, dynamic, other):
        module.prepare_data()
        assert module.levels == 2
    for split in ("train", "val", "test"):
        np.testing.assert_array_equal(static.images(split), dynamic.images(split))
        np.testing.assert_array_equal(static.images(split), other.images(split))
    grey = images["train"][:-5]
    assert abs(static.images("train").mean() - grey.mean() / 255) < 0.02
    assert static.image_set.training_set(0) is None
    assert dynamic.image_set.training_set(0) is not None


@pytest.mark.parametrize("binarize", ["static", "dynamic", "threshold", "none"])
def test_each_way_has_its_own_id(binarize):
    module = FashionMNIST(binarize=binarize)
    assert module.dataset_id == f"fashion_mnist_{'grey' if binarize == 'none' else binarize}"
    assert module.classes == 10
    assert (module.image_set.count("train"), module.image_set.count("val")) == (50_000, 10_000)
