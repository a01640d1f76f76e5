"""A folder, an archive or an array of one's own becomes a data set."""

import itertools
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelrnn import atomic
from pixelrnn.data import Images
from pixelrnn.data.own import shares
from pixelrnn.data.own.conversion import Conversion
from pixelrnn.errors import ConfigError, DataError
from tests.data import own_files


@pytest.fixture
def made(tmp_path):
    """Make a data module of a path, converted and loaded."""
    return partial(own_files.loaded, Images, root=tmp_path / "data")


def _all(module):
    """The images of all splits, each as bytes."""
    return [image.tobytes() for split in module.splits for image in module.images(split)]


def _rows(module):
    """Split -> the files of its images, in their order."""
    folder = module.image_set.store.folder
    return {s: (folder / f"{s}.txt").read_text().splitlines() for s in module.splits}


def test_pixels_and_names_come_out_as_they_were_put_in(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", height=5, width=7)
    module = made(path)
    assert module.image_shape == (3, 5, 7)
    assert module.levels == 256
    assert module.labels("train") is None
    rows = _rows(module)
    assert sorted(name for names in rows.values() for name in names) == [
        f"{index:03}.png" for index in range(30)
    ]
    for split, names in rows.items():
        assert names == sorted(names)
        assert len(names) == module.image_set.count(split) == len(module.images(split))
        for name, image in zip(names, module.images(split), strict=True):
            with Image.open(path / name) as expected:
                np.testing.assert_array_equal(image, np.asarray(expected).transpose(2, 0, 1))


def _zipped(path):
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for file in sorted(path.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(path))
    return path.with_suffix(".zip")


def _tarred(mode, suffix):
    def tarred(path):
        target = path.with_name(path.name + suffix)
        with tarfile.open(target, mode) as archive:
            for file in sorted(path.rglob("*"), reverse=True):
                archive.add(file, f"./{file.relative_to(path)}", recursive=False)
        return target

    return tarred


@pytest.mark.parametrize(
    "packed",
    [_zipped, _tarred("w", ".tar"), _tarred("w:gz", ".tgz")],
    ids=["zip", "tar", "tgz"],
)
def test_an_archive_of_a_folder_is_the_same_data_set(packed, made, tmp_path):
    path = own_files.folder(tmp_path / "photos")
    (path / "sub").mkdir()
    own_files.picture(77).save(path / "sub" / "x.png")
    folder = made(path)
    archive = made(packed(path))
    assert archive.dataset_id == folder.dataset_id
    assert archive.content_id == folder.content_id
    shutil.rmtree(tmp_path / "data")
    assert _all(made(archive.image_set.path)) == _all(folder)


def test_a_changed_folder_is_another_data_set(made, tmp_path):
    path = own_files.folder(tmp_path / "photos")
    first = made(path)
    assert made(path).dataset_id == first.dataset_id
    (path / "more.png").write_bytes(own_files.encoded(own_files.picture(99)))
    second = made(path)
    assert second.dataset_id != first.dataset_id
    assert second.content_id != first.content_id
    (path / "more.png").unlink()
    assert made(path).content_id == first.content_id
    assert first.dataset_id.startswith("images_photos_")


def test_adding_files_moves_none_and_larger_val_leaves_test_alone(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=60)
    before = {name: split for split, names in _rows(made(path)).items() for name in names}
    for index in range(60, 90):
        own_files.picture(index).save(path / f"{index:03}.png")
    after = {name: split for split, names in _rows(made(path)).items() for name in names}
    assert {name: after[name] for name in before} == before
    assert _rows(made(path, val=0.4))["test"] == _rows(made(path))["test"]
    assert set(after.values()) == {"train", "val", "test"}
    # the size of the images plays no part: what was made smaller is still where it was
    small = {name: split for split, names in _rows(made(path, size=4)).items() for name in names}
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
    rows = _rows(module)
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
    assert _rows(module)["val"][0] == "valid/cat/000.png"


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


def test_keys_that_do_not_go_together_are_refused(tmp_path):
    path = own_files.folder(tmp_path / "photos", count=2)
    for settings, says in (
        ({"fit": "crop"}, r"data\.fit=crop needs data\.size"),
        ({"size": 4, "short_side": 9}, r"data\.short_side is for data\.fit=crop or tiles"),
        ({"binarize": "static", "levels": 4}, r"data\.binarize=static makes 2 levels"),
        ({"val": 0.5, "test": 0.5}, r"data\.val=0\.5 and data\.test=0\.5 leave nothing"),
    ):
        with pytest.raises(ConfigError, match=says):
            Images(path=path, root=tmp_path / "data", **settings)
    for share in (1, -0.1, True):
        with pytest.raises(ValueError, match="a share is at least 0 and less than 1; or name a fo"):
            Images(path=path, root=tmp_path / "data", val=share)
    with pytest.raises(DataError, match=r"data\.test=gone: no such folder or file"):
        Images(path=path, root=tmp_path / "data", test="gone")
    with pytest.raises(DataError, match=r"photos: data\.layout=NHW is for arrays"):
        Images(path=path, root=tmp_path / "data", layout="NHW")
    with pytest.raises(DataError, match=r"data\.classes=labels needs other files; set folders or"):
        Images(path=path, root=tmp_path / "data", classes="labels")
    assert not (tmp_path / "data").exists()


def test_levels_are_the_high_bits_and_binary_images_are_those_of_mnist(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=40, mode="L")
    shades = made(path).images("train")
    for levels in (2, 16, 128):
        module = made(path, levels=levels)
        np.testing.assert_array_equal(module.images("train"), shades // (256 // levels))
        assert module.levels == levels
        assert module.dataset_id == f"{made(path).dataset_id}_{levels}_levels"
    threshold = made(path, binarize="threshold")
    np.testing.assert_array_equal(threshold.images("train"), shades >= 128)
    drawn = made(path, binarize="dynamic", seed=1)
    assert drawn.levels == 2
    np.testing.assert_array_equal(drawn.images("val"), made(path, binarize="static").images("val"))
    first, second = (next(iter(drawn.train_dataloader())).images for _ in range(2))
    assert first.max() == 1
    assert len({made(path, binarize=b).dataset_id for b in ("dynamic", "static", "none")}) == 3
    assert first.equal(second)


def test_one_conversion_serves_all_levels_and_another_size_has_its_own(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=40)
    for settings in ({}, {"levels": 4}, {"binarize": "dynamic"}, {"size": 8}):
        made(path, **settings)
    assert len(list((tmp_path / "data").glob("*/meta.json"))) == 1
    made(path, size=6)
    assert len(list((tmp_path / "data").glob("*/meta.json"))) == 2


def test_mapped_and_read_images_are_equal(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", count=40)
    mapped = made(path, in_memory=False)
    assert isinstance(mapped.images("train"), np.memmap)
    assert _all(mapped) == _all(made(path))


def test_several_at_once_convert_once_and_what_a_killed_one_left_is_removed(tmp_path, monkeypatch):
    path = own_files.folder(tmp_path / "photos", count=40)
    sets = [Images(path=path, root=tmp_path / "data").image_set for _ in range(4)]
    store = sets[0].store
    store.folder.mkdir(parents=True)
    left = store.folder / f".images.{atomic.host()}.999999999.0123abcd.tmp"
    left.write_bytes(bytes(100))
    built = []
    build = Conversion.build
    monkeypatch.setattr(Conversion, "build", lambda *a: built.append(1) or build(*a))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.prepare(), sets))
    assert built == [1]
    assert not left.exists()
    assert {file.name for file in store.folder.iterdir()} == {
        *(f"{split}.{end}" for split in ("train", "val", "test") for end in ("npy", "txt")),
        "meta.json",
    }


def test_a_tilde_is_the_home(made, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    own_files.folder(tmp_path / "photos", count=40)
    assert made(Path("~/photos")).dataset_id == made(tmp_path / "photos").dataset_id
