"""`pixelrnn data images data.path=...`, and own images through all verbs."""

import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from pixelrnn.cli import data as verb
from pixelrnn.data.codes import CodesImages
from pixelrnn.data.own import description, inventory
from pixelrnn.data.own_images import OwnImages
from pixelrnn.errors import DataError
from tests.data import own_files


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Run the verb with data under tmp_path; returns name -> text of each line."""
    monkeypatch.setenv("COLUMNS", "200")
    inventory.forget()

    def told(*words):
        verb.main(["images", *words, f"paths.data={tmp_path / 'data'}"])
        lines = capsys.readouterr().out.splitlines()
        return {name.strip(): text for name, _, text in (line.partition("  ") for line in lines)}

    return told


def test_counts_sizes_duplicates_and_bits_are_told(told, tmp_path):
    path = own_files.folder(tmp_path / "my photos", count=40)
    (path / "notes.txt").write_text("text")
    (path / "bad.png").write_text("text")
    shutil.copy(path / "001.png", path / "copy.png")
    own_files.picture(70, 5, 30).save(path / "wide.png")
    words = (f"data.path={path}", "data.size=6", "data.skip_bad=true")
    text = told(*words)
    assert text["files"].strip() == f"{path}: 42 images; 1 other files passed over"
    assert text["sizes"].strip().startswith("2 sizes, 5 to 8 rows, 8 to 30 columns; 8 x 8 is ")
    assert "1 of 43 files cannot be used: 1 no picture" in text["left out"]
    assert text["enlarged"].strip() == "1 were smaller than data.size"
    assert text["equal images"].strip() == "1 in train equal another there"
    assert text["image"].strip() == "3 x 6 x 6 (C x H x W)"
    assert sum(int(text[f"{split} images"]) for split in ("train", "val", "test")) == 42
    assert "bits/dim, a file an image" in text["as PNG"]
    (picture,) = (tmp_path / "data").glob("images_my_photos_*.png")
    with Image.open(picture) as image:
        assert len(np.unique(np.asarray(image))) > 9
    store = next((tmp_path / "data").glob("images_*/train.npy"))
    damaged = bytearray(store.read_bytes())
    damaged[-1] ^= 1
    store.write_bytes(damaged)
    assert any("Converting again" in name for name in told(*words))


def test_arrays_and_folders_given_for_other_splits_are_told(told, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(480, dtype=np.uint8).reshape(8, 3, 20, 1))
    np.save(tmp_path / "t.npy", np.zeros((2, 3, 20, 1), np.uint8))
    path = tmp_path / "x.npy"
    text = told(
        f"data.path={path}", "data.val=0", f"data.test={tmp_path / 't.npy'}", "data.layout=NCHW"
    )
    assert text["files"].strip() == f"{path}: 8 images; array read as NCHW"
    assert text["test files"].strip() == f"{tmp_path / 't.npy'}: 2 images; array read as NCHW"
    assert text["sizes"].strip() == "all 20 x 1"
    assert text["equal images"].strip() == "1 in test equal another there"


def test_folders_of_splits_beside_a_picture_are_told(told, tmp_path):
    for part in ("train", "test"):
        own_files.folder(tmp_path / "pets" / part, count=40)
    own_files.picture(70).save(tmp_path / "pets" / "cover.png")
    text = told(f"data.path={tmp_path / 'pets'}")
    assert "test, train are not taken as splits, since cover.png lies beside" in text["files"]


def test_equal_images_are_counted_within_splits_then_across_them_in_their_order():
    a, b, c = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    images = {"train": np.stack([a, a, b]), "val": np.stack([b, c]), "test": np.stack([a, a])}
    assert description.equal(images) == (
        "1 in train equal another there; 1 in test equal another there; "
        "1 in val equal one in train; 2 in test equal one in train"
    )
    assert description.equal({"train": np.stack([a, b]), "test": np.stack([c])}) == "none"


def test_the_path_must_be_given(told):
    with pytest.raises(verb.ConfigError, match=r"data=images needs data\.path=\.\.\."):
        told()


@pytest.mark.parametrize("kind", ["images", "codes"])
def test_the_command_that_is_named_repairs_what_is_damaged(kind, tmp_path):
    """It names every key that was given, and a shell takes it as it stands."""
    if kind == "images":
        path = own_files.folder(tmp_path / "my photos é", count=30, height=9)
        images = OwnImages(path=path, size=(4, 6), fit="crop", val=0.2, root=tmp_path / "my data")
    else:
        path = own_files.codes(tmp_path / "my codes", count=40)
        images = CodesImages(path=path, levels=700, test=0.2, root=tmp_path / "my data")
    images.prepare()
    before = images.load("train")
    stored = images.store.folder / "train.npy"
    stored.write_bytes(stored.read_bytes()[:-1] + b"\xff")
    with pytest.raises(DataError) as refused:
        images.load("train")
    words = shlex.split(str(refused.value).split("`")[1])
    assert words[:3] == ["pixelrnn", "data", kind]
    verb.main(words[2:])
    assert np.array_equal(images.load("train"), before)
