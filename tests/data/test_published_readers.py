"""Every published format is read right, and every damaged file is refused."""

import contextlib

import numpy as np
import pytest

from pixelrnn.data.cifar10 import read_archive
from pixelrnn.data.converted import Store
from pixelrnn.data.mnist import read_amat, read_idx
from pixelrnn.data.part_writer import Part
from pixelrnn.data.png_tar import convert as convert_tar
from pixelrnn.errors import DataError
from tests.data import raw_formats as raw
from tests.data import stored_sets
from tests.data.stored_sets import MAKERS

EVERY = pytest.mark.parametrize("name", MAKERS)


@EVERY
def test_images_come_out_as_they_were_put_in(name, tmp_path):
    module, images = MAKERS[name](tmp_path)
    module.prepare_data()
    module.setup()
    for part, expected in images.items():
        np.testing.assert_array_equal(module.image_set.part(part), expected)
    assert module.dataset_id == name
    assert not list(tmp_path.rglob("*.tmp"))


@EVERY
def test_splits_are_cut_in_file_order(name, tmp_path):
    module, images = MAKERS[name](tmp_path)
    module.prepare_data()
    if name == "mnist_static":
        expected = images
    elif name.startswith("imagenet"):
        expected = {"train": images["train"], "val": images["valid"], "test": images["valid"]}
    else:
        train = images["train"]
        expected = {"train": train[:-5], "val": train[-5:], "test": images["test"]}
    for split, group in expected.items():
        np.testing.assert_array_equal(module.images(split), group)


@EVERY
def test_setup_before_prepare_names_the_command(name, tmp_path):
    module, _ = MAKERS[name](tmp_path)
    words = {
        "mnist_static": "mnist",
        "mnist_grey": r"mnist data\.binarize=none",
        "fashion_mnist_grey": "fashion_mnist",
    }.get(name, name)
    with pytest.raises(DataError, match=rf"not prepared.*pixelrnn data {words} paths\.data="):
        module.setup()


@EVERY
@pytest.mark.parametrize("keep", [0, 1, 0.3, 0.999])
def test_truncated_raw_files_are_refused(name, keep, tmp_path):
    module, _ = MAKERS[name](tmp_path)
    for part, files in module.image_set.source.files.items():
        path = tmp_path / "raw" / files[-1].name
        whole = path.read_bytes()
        path.write_bytes(whole[: keep if keep in (0, 1) else int(keep * len(whole))])
        with pytest.raises(DataError, match=rf"{path.name} is damaged: expected .* bytes, found"):
            module.prepare_data()
        assert not module.image_set.store.ready(), part
        path.write_bytes(whole)
    module.prepare_data()


@EVERY
def test_any_flipped_bit_of_a_raw_file_is_seen(name, tmp_path):
    module, _ = MAKERS[name](tmp_path)
    files = sorted(
        {file.name for group in module.image_set.source.files.values() for file in group}
    )
    random = np.random.default_rng(0)
    for trial in range(200):
        path = tmp_path / "raw" / files[trial % len(files)]
        whole = path.read_bytes()
        path.write_bytes(_flip(whole, random))
        with pytest.raises(DataError, match="is damaged: expected SHA-256"):
            module.prepare_data()
        path.write_bytes(whole)
    assert not module.image_set.store.ready()


@EVERY
def test_any_flipped_bit_of_a_converted_file_is_seen(name, tmp_path):
    module, images = MAKERS[name](tmp_path)
    module.prepare_data()
    module.image_set.in_memory = True
    path = module.image_set.store.folder / "train.npy"
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        path.write_bytes(_flip(whole, random))
        # padding of the header may change and mean the same
        with contextlib.suppress(DataError):
            np.testing.assert_array_equal(module.image_set.part("train"), images["train"])
    path.write_bytes(_flip(whole, random, first=200))
    with pytest.raises(DataError, match=r"expected SHA-256 .* run `pixelrnn data"):
        module.image_set.store.verify()


@pytest.mark.parametrize("keep", [0, 10, 60, 127, 128, 5000])
def test_truncated_converted_files_are_refused_and_made_again(keep, tmp_path):
    module, images = stored_sets.imagenet(tmp_path)
    module.prepare_data()
    path = module.image_set.store.folder / "train.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"train\.npy is damaged: expected [\d,]+ bytes"):
        module.setup()
    module.prepare_data()
    np.testing.assert_array_equal(module.image_set.part("train"), images["train"])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe": 1}', "\x00\xff", '{"parts": {}}'])
def test_a_damaged_record_means_not_prepared(text, tmp_path):
    module, _ = stored_sets.cifar10(tmp_path)
    module.prepare_data()
    (module.image_set.store.folder / "meta.json").write_text(text, encoding="latin1")
    assert not module.image_set.store.ready()
    with pytest.raises(DataError, match=r"meta\.json: expected the record of a finished"):
        module.setup()
    module.prepare_data()
    module.setup()


def test_readers_below_the_checksums_let_no_flipped_bit_through(tmp_path):
    """Only gzip's own check stands here: it has to be read to its end."""
    images = raw.pixels(0, 20, 1, 28, 28)
    path = tmp_path / "images.gz"
    raw.write_idx(path, images)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(200):
        path.write_bytes(_flip(whole, random))
        try:
            np.testing.assert_array_equal(read_idx(path, 20), images)
        except DataError:
            refused += 1
    assert refused > 190  # the rest hit the file name or time in gzip's header


@pytest.mark.parametrize("count", [19, 21])
def test_wrong_counts_are_refused(count, tmp_path):
    raw.write_idx(tmp_path / "i.gz", raw.pixels(0, 20, 1, 28, 28))
    raw.write_amat(tmp_path / "a.amat", raw.pixels(0, 20, 1, 28, 28, levels=2))
    raw.write_tar(tmp_path / "t.tar", raw.png_members(raw.pixels(0, 20, 3, 32, 32)), "w:")
    with pytest.raises(DataError, match=r"i\.gz: expected header"):
        read_idx(tmp_path / "i.gz", count)
    with pytest.raises(DataError, match=r"a\.amat: expected"):
        read_amat(tmp_path / "a.amat", count)
    store = Store(tmp_path, "t", {"train": Part((count, 3, 32, 32))}, "pixelrnn data t")

    def build(builder):
        with builder.part("train") as out:
            convert_tar(tmp_path / "t.tar", out)

    with pytest.raises(DataError, match=f"expected {count} PNG files, found 20"):
        store.prepare(build)
    assert not store.ready()


@pytest.mark.parametrize("bad", ["2", "a", "\t", "\r"])
def test_amat_with_other_characters_is_refused(bad, tmp_path):
    path = tmp_path / "a.amat"
    raw.write_amat(path, raw.pixels(0, 20, 1, 28, 28, levels=2))
    text = path.read_bytes()
    for place in (0, 1, 1567, len(text) - 1):
        path.write_bytes(text[:place] + bad.encode() + text[place + 1 :])
        with pytest.raises(DataError, match="expected digits 0 and 1"):
            read_amat(path, 20)


def test_cifar_labels_out_of_range_are_refused(tmp_path):
    images = raw.pixels(0, 10, 3, 32, 32)
    members = raw.cifar_members(np.concatenate([images] * 5), images)
    name = "cifar-10-batches-bin/test_batch.bin"
    members[name] = raw.cifar_records([10] * 10, images)
    raw.write_tar(tmp_path / "c.tar.gz", members)
    with pytest.raises(DataError, match="expected labels 0 to 9, found 10"):
        list(read_archive(tmp_path / "c.tar.gz", 10))


def _flip(data, random, first=0):
    place = int(random.integers(8 * first, 8 * len(data)))
    flipped = bytearray(data)
    flipped[place // 8] ^= 1 << place % 8
    return bytes(flipped)
