"""Files are read again only if they may have changed."""

import json
import os
import time

import numpy as np
import pytest

from pixelrnn.data import Codes, Images
from pixelrnn.data.own import files, inventory
from pixelrnn.errors import DataError
from tests.data import own_files


@pytest.fixture
def settled(tmp_path):
    """A folder whose files have not been changed for a minute."""
    path = own_files.folder(tmp_path / "photos", count=5)
    for file in path.iterdir():
        _aged(file)
    inventory.forget()
    return path


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read."""
    names = []
    original = files._file

    def counted(path):
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(files, "_file", counted)
    return names


def _aged(file, seconds=60):
    before = time.time_ns() - seconds * 10**9
    os.utime(file, ns=(before, before))


def _look(path, remember=True):
    found = inventory.look_at(path, path.parent / "data")
    if remember:
        found.remember(path.parent / "data")
    return found


def test_what_was_seen_is_not_read_again_in_this_process_or_the_next(settled, read):
    first = _look(settled)
    assert sorted(read) == [f"00{index}.png" for index in range(5)]
    read.clear()
    assert _look(settled).digest == first.digest
    inventory.forget()  # as a new process
    assert _look(settled).looks == first.looks
    assert not read


def test_only_what_changed_is_read(settled, read):
    first = _look(settled)
    read.clear()
    own_files.picture(9).save(settled / "002.png")
    own_files.picture(10).save(settled / "new.png")
    (settled / "004.png").unlink()
    second = _look(settled)
    assert sorted(read) == ["002.png", "new.png"]
    assert second.digest != first.digest
    names = [look.name for look in second.looks]
    assert names == ["000.png", "001.png", "002.png", "003.png", "new.png"]


def test_a_file_that_was_just_changed_is_read_again(settled, read):
    """It may change once more within the same tick of the clock of the file system."""
    for name in ("001.png", "003.png"):
        own_files.picture(9).save(settled / name)
    _aged(settled / "003.png", seconds=5)
    _look(settled)
    read.clear()
    _look(settled)
    assert read == ["001.png"]


def test_an_index_that_is_damaged_or_of_another_version_counts_as_none(settled, read):
    first = _look(settled)
    (index,) = (settled.parent / "data" / "index").iterdir()
    whole = json.loads(index.read_text())
    for text in (
        "",
        "[1]",
        json.dumps(whole | {"pillow": "1.0"}),
        json.dumps(whole | {"units": {"000.png": [1]}}),
        json.dumps(whole | {"units": [1]}),
    ):
        index.write_text(text)
        inventory.forget()
        read.clear()
        assert _look(settled, remember=False).digest == first.digest
        assert len(read) == 5


def test_looking_alone_writes_nothing(settled):
    Images(path=settled, root=settled.parent / "data")
    assert not (settled.parent / "data").exists()


def test_own_output_in_the_folder_is_passed_over(settled):
    first = _look(settled)
    run = settled / "runs" / "images-pixelcnn-12345678"
    (run / "samples").mkdir(parents=True)
    for name in ("config.yaml", "environment.json"):
        (run / name).write_text("{}")
    own_files.picture(0).save(run / "samples" / "final.png")
    (settled / "data").mkdir()
    own_files.picture(0).save(settled / "data" / "images_photos_12345678.png")
    assert inventory.look_at(settled, settled / "data").digest == first.digest


def test_a_link_that_leads_back_up_is_followed_once(settled):
    (settled / "up").symlink_to(settled, target_is_directory=True)
    (settled.parent / "other").mkdir()
    own_files.picture(7).save(settled.parent / "other" / "x.png")
    (settled / "other").symlink_to(settled.parent / "other", target_is_directory=True)
    names = [look.name for look in _look(settled).looks]
    assert names == [*(f"00{index}.png" for index in range(5)), "other/x.png"]


@pytest.mark.parametrize("when", ["before", "while", "after"])
@pytest.mark.parametrize("kind", [Images, Codes])
def test_arrays_under_an_id_are_those_that_it_was_made_of(kind, when, tmp_path, monkeypatch):
    """A copy that is still under way changes a file before, while or after it is hashed."""
    path, length = tmp_path / "x.npy", 40 * 5 * 6
    old, new = (np.arange(length).reshape(40, 5, 6) % n for n in (100, 200))

    def write(array):
        np.save(tmp_path / "next.npy", array.astype(np.uint8))
        second = int(array.max())  # another one, whatever the clock of the file system tells apart
        os.utime(tmp_path / "next.npy", (second, second))
        os.replace(tmp_path / "next.npy", path)

    def made(root):
        inventory.forget()
        return kind(path=path, root=tmp_path / root, val=0, test=0, levels=256)

    ids = {}
    for array in (old, new):
        write(array)
        ids[made("alone").dataset_id] = array
    step = "_looked" if when == "while" else "look_at"
    original = getattr(inventory, step)

    def changed(*given):
        if when != "after":
            write(new)
        found = original(*given)
        if when == "after":
            write(new)
        return found

    write(old)
    with monkeypatch.context() as patched:
        patched.setattr(inventory, step, changed)
        module = made("data")
    if when == "before":
        module.prepare_data()
        assert np.array_equal(module.images("train")[:, 0], ids[module.dataset_id])
        return
    with pytest.raises(DataError, match=r"x\.npy: .*was changed while it was read; start again"):
        module.prepare_data()
    assert module.image_set.state() == "not converted"
