"""Which split an image of one's own belongs to: a share, a folder, or another path."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelrnn.data.own import shares, sources
from pixelrnn.errors import ConfigError, DataError
from tests.data import own_files


def test_adding_files_moves_none_and_larger_val_leaves_test_alone(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=60)
    before = {name: split for split, names in own_files.rows(made(path)).items() for name in names}
    for index in range(60, 90):
        own_files.picture(index).save(path / f"{index:03}.png")
    after = {name: split for split, names in own_files.rows(made(path)).items() for name in names}
    assert {name: after[name] for name in before} == before
    assert own_files.rows(made(path, val=0.4))["test"] == own_files.rows(made(path))["test"]
    assert set(after.values()) == {"train", "val", "test"}
    # the size of the images plays no part: what was made smaller is still where it was
    small = {
        name: split for split, names in own_files.rows(made(path, size=4)).items() for name in names
    }
    assert small == after


def test_equal_images_stand_on_one_side(made, tmp_path):
    """Copies in other formats and modes go together; those that only become equal are left out."""
    path = tmp_path / "photos"
    path.mkdir()
    for index in range(40):
        grey = own_files.picture(index, mode="L")
        grey.save(path / f"{index:02}-a.png")
        grey.convert("RGB").save(path / f"{index:02}-b.webp", lossless=True)
        grey.convert("P").save(path / f"{index:02}-c.gif")
        larger = np.pad(np.asarray(grey), 1, constant_values=index)
        Image.fromarray(larger).save(path / f"{index:02}-d.png")
    module = made(path, size=8, fit="crop", val=0.3, test=0.3)
    splits = [{image.tobytes() for image in module.images(s)} for s in module.splits]
    assert not splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2]
    rows = own_files.rows(module)
    side = {name: split for split, names in rows.items() for name in names}
    for index in range(40):
        copies = {side.get(f"{index:02}-{end}") for end in ("a.png", "b.webp", "c.gif")}
        assert len(copies) == 1
    left_out = module.image_set.store.about()["left_out"]
    assert sum(left_out.values()) == 160 - len(side) > 0


def test_an_image_is_left_out_where_a_dealt_split_that_is_seen_later_has_it():
    """All cases of three images, against the definition."""
    order = ("train", "val", "test")
    for splits, hashes, dealt in itertools.product(
        itertools.product(order, repeat=3),
        itertools.product((b"x", b"y", b"z"), repeat=3),
        map(frozenset, ((), ("val",), ("test",), ("val", "test"))),
    ):
        images = list(zip(map(order.index, splits), hashes, strict=True))
        expected = [
            any(late > split and same == mine and order[late] in dealt for late, same in images)
            for split, mine in images
        ]
        assert shares.left_out(splits, hashes, dealt).tolist() == expected


def test_a_dealt_test_shares_no_image_with_validation_of_ones_own(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=40)
    own = own_files.folder(tmp_path / "own", count=50)  # the first 40 are those of the photos
    module = made(path, val=own, test=0.3)
    train, val, test = ({i.tobytes() for i in module.images(s)} for s in ("train", "val", "test"))
    assert not test & (train | val)
    assert (len(test), len(val)) == (40 - len(train), 50 - len(test))
    assert train < val  # what the user gave takes nothing from training; the facts tell of it
    assert module.image_set.store.about()["left_out"] == {"train": 0, "val": len(test)}
    facts = dict(module.image_set.facts())
    assert facts["equal images"] == f"{len(train)} in val equal one in train"
    assert facts["left out of val"].startswith(f"{len(test)} that equal an image kept for later")


def test_folders_may_be_the_splits_and_the_classes(made, tmp_path):
    for part, count in (("train", 6), ("valid", 3), ("test", 2)):
        for number, name in enumerate(("cat", "dog")):
            own_files.folder(tmp_path / "pets" / part / name, count=count + number)
    module = made(tmp_path / "pets", classes="folders")
    assert module.class_names == ("cat", "dog")
    assert [len(module.images(split)) for split in ("train", "val", "test")] == [13, 7, 5]
    assert module.labels("train").tolist() == [0] * 6 + [1] * 7
    assert own_files.rows(module)["val"][0] == "valid/cat/000.png"


@pytest.mark.parametrize(
    ("stray", "told"),
    [("cover.png", "cover.png"), ("more/a.png", "more"), ("bus/a.png", "bus"), (None, None)],
)
def test_folders_of_splits_with_something_beside_them_are_told_of(
    stray, told, made, tmp_path, caplog
):
    for part in ("train", "test"):
        own_files.folder(tmp_path / "pets" / part, count=40)
    if stray:
        (tmp_path / "pets" / stray).parent.mkdir(exist_ok=True)
        own_files.picture(70).save(tmp_path / "pets" / stray)
    made(tmp_path / "pets")
    says = f"the folders test, train are not taken as splits, since {told} lies beside them"
    assert (says in caplog.text) == bool(stray)


def test_a_class_called_train_is_no_split(made, tmp_path, caplog):
    for name in ("train", "car"):
        own_files.folder(tmp_path / "vehicles" / name, count=40)
    assert made(tmp_path / "vehicles", classes="folders").class_names == ("car", "train")
    assert "splits" not in caplog.text


def test_an_archive_of_a_whole_folder_has_its_splits_and_classes(made, tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for name in ("cat", "dog"):
            own_files.folder(tmp_path / "all" / "my pets" / part / name, count=count)
    path = Path(shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path, "all"))
    for there in (path, tmp_path / "all"):
        module = made(there, classes="folders", val=0.0)
        assert module.class_names == ("cat", "dog")
        assert [len(module.images(split)) for split in ("train", "test")] == [6, 4]
        assert own_files.rows(module)["test"][0].endswith("my pets/test/cat/000.png")


@pytest.mark.parametrize(
    ("names", "around"),
    [
        ([], ""),
        (["a.png"], ""),
        (["a/b.png", "a/c.png"], ""),
        (["a/b/c.png", "a/d.png"], ""),
        (["a/b/c.png", "a/b/d.png"], "a/"),
        (["a/b/c.png", "a/d/e.png"], "a/"),
        (["a/b/c/e.png", "a/b/d/e.png"], "a/b/"),
        (["a/b/c.png", "ab/b/c.png"], ""),
    ],
)
def test_folders_around_all_others(names, around):
    assert sources._around(names) == around


def test_classes_are_dealt_with_their_images(made, tmp_path):
    for number, name in enumerate(("10", "9", "2")):
        own_files.folder(tmp_path / "pets" / name, count=40, height=8, width=8)
        for index in range(40):
            grey = np.full((8, 8), 100 * number + index, np.uint8)
            Image.fromarray(grey).save(tmp_path / "pets" / name / f"{index:03}.png")
    module = made(tmp_path / "pets", classes="folders")
    assert module.class_names == ("2", "9", "10")
    for split in module.splits:
        shades = module.images(split)[:, 0, 0, 0]
        assert module.labels(split).tolist() == (2 - shades // 100).tolist()
    (tmp_path / "pets" / "loose.png").write_bytes(own_files.encoded(own_files.picture(0)))
    with pytest.raises(DataError, match=r"1 in no class folder \(loose\.png\)"):
        made(tmp_path / "pets", classes="folders")
    assert made(tmp_path / "pets").class_names == ()


def test_val_and_test_may_lie_elsewhere(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=10)
    np.save(tmp_path / "v.npy", np.zeros((4, 3, 8, 8), np.uint8))
    test = own_files.folder(tmp_path / "t" / "dog", count=3).parent
    module = made(path, val=tmp_path / "v.npy", test=test)
    assert [len(module.images(split)) for split in module.splits] == [10, 4, 3]
    assert not module.images("val").any()
    assert made(path, val=0.0, test=0.0).splits == ("train",)
    assert made(path, val=0, test=test).splits == ("train", "test")
    own_files.folder(tmp_path / "c" / "cat", count=3)
    (test / "dog" / "bad.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"photos: 1 of 14 files .* \(t/dog/bad\.png\)"):
        made(path, val=0, test=test)
    (test / "dog" / "bad.png").unlink()
    with pytest.raises(DataError, match=r"t: images for test are of the class dog, of which there"):
        made(tmp_path / "c", val=0, test=test, classes="folders")


@pytest.mark.parametrize("split", ["val", "test"])
def test_images_of_a_split_come_from_one_place(split, made, tmp_path):
    """Two places would be merged without a word; a share gives way to the names in data.path."""
    other = own_files.folder(tmp_path / "other", count=2)
    for part, count in (("train", 4), (split, 3)):
        own_files.folder(tmp_path / "pets" / part, count=count)
    shades = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "pets.npz", **{"train": shades, split: shades})
    rest = {"val": 0, "test": 0}
    for path in (tmp_path / "pets", tmp_path / "pets.npz"):
        for share in (0, 0.5):
            assert len(made(path, **rest | {split: share}).images(split)) == 3
        says = (
            rf"data\.{split}=.*other, but data\.path=.*pets.* called {split}: leave data\.{split}"
        )
        with pytest.raises(ConfigError, match=says) as error:
            made(path, **rest | {split: other})
        assert "\n" not in str(error.value)
    both = made(tmp_path / "pets" / "train", **rest | {split: other})
    assert [len(both.images(part)) for part in ("train", split)] == [4, 2]
