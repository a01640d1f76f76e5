"""A folder, an archive or an array of one's own becomes a data set."""

import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelrnn import atomic
from pixelrnn.data import Images
from pixelrnn.data.own.conversion import Conversion
from pixelrnn.errors import ConfigError, DataError
from tests.data import own_files


def test_pixels_and_names_come_out_as_they_were_put_in(made, tmp_path):
    path = own_files.folder(tmp_path / "photos", height=5, width=7)
    module = made(path)
    assert module.image_shape == (3, 5, 7)
    assert module.levels == 256
    assert module.labels("train") is None
    rows = own_files.rows(module)
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
    assert own_files.all_images(made(archive.image_set.path)) == own_files.all_images(folder)


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
    assert own_files.all_images(mapped) == own_files.all_images(made(path))


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
