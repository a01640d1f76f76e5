"""Files of MNIST are taken by what they hold: packed anew, unpacked, or under another name."""

import gzip
import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pixelrnn.data import gzipped
from pixelrnn.data.registry import SOURCES
from pixelrnn.errors import DataError
from tests.data import stored_sets


@pytest.fixture
def mnist(tmp_path):
    """A small set whose table knows the checksums of what is packed, and nowhere to fetch from."""
    module, images = stored_sets.mnist(tmp_path, "none")
    source = module.image_set.source

    def known(file):
        content = gzip.decompress((tmp_path / "raw" / file.name).read_bytes())
        return replace(file, unpacked_sha256=hashlib.sha256(content).hexdigest())

    files = {part: tuple(known(file) for file in group) for part, group in source.files.items()}
    module.image_set.source = replace(source, files=files)
    return module, images, tmp_path / "raw"


def packed_anew(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=7))


def unpacked(name):
    def change(path):
        path.with_name(name(path.name)).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()

    return change


WAYS = {
    "packed anew": packed_anew,
    "unpacked under the name of the packed": lambda path: path.write_bytes(
        gzip.decompress(path.read_bytes())
    ),
    "unpacked": unpacked(lambda name: name.removesuffix(".gz")),
    "unpacked, .idx": unpacked(lambda name: name.partition("-idx")[0] + ".idx"),
    "unpacked, with a dot": unpacked(lambda name: name.removesuffix(".gz").replace("-idx", ".idx")),
    "with a dot": lambda path: path.rename(path.with_name(path.name.replace("-idx", ".idx"))),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_content_is_taken(way, mnist):
    module, images, raw = mnist
    for path in list(raw.iterdir()):
        WAYS[way](path)
    before = sorted(path.name for path in raw.iterdir())
    module.prepare_data()
    module.setup()
    assert np.array_equal(module.image_set.part("train"), images["train"])
    assert sorted(path.name for path in raw.iterdir()) == before


@pytest.mark.parametrize("way", WAYS)
def test_other_content_is_not(way, mnist):
    module, _, raw = mnist
    path = raw / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))
    WAYS[way](path)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is (missing|damaged)"):
        module.prepare_data()


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(gzipped, "_LONGEST", 1000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(10**6)))
    assert not gzipped.holds(path, hashlib.sha256(bytes(10**6)).hexdigest())
    path.write_bytes(path.read_bytes()[:-9])
    assert not gzipped.holds(path, "")


def test_without_a_known_checksum_only_the_published_file_is_taken(mnist):
    module, _, raw = mnist
    source = module.image_set.source
    files = {
        part: tuple(replace(file, unpacked_sha256="") for file in group)
        for part, group in source.files.items()
    }
    module.image_set.source = replace(source, files=files)
    packed_anew(raw / "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="is damaged"):
        module.prepare_data()
    shutil.rmtree(raw)


def test_the_published_checksums_are_there():
    files = [f for group in SOURCES["mnist_grey"].files.values() for f in group]
    assert all(len(file.unpacked_sha256) == 64 for file in files)
    assert len({file.unpacked_sha256 for file in files}) == 4
