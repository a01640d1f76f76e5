"""Maps of codes in a file of one's own become a data set."""

import logging
import os
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch

from pixelrnn.data import Codes
from pixelrnn.data.own import code_maps
from pixelrnn.errors import ConfigError, DataError
from tests.data import own_files


@pytest.fixture
def made(tmp_path):
    """Make a data module of files, converted and loaded."""
    return partial(own_files.loaded, Codes, root=tmp_path / "data")


def all_maps(module):
    """The maps of all splits, sorted: integers (N, -1)."""
    maps = np.concatenate([module.images(split).astype(int) for split in module.splits])
    return np.array(sorted(maps.reshape(len(maps), -1).tolist()))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.int64, np.uint64, ">i4"])
@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 1, 5)], ids=str)
def test_codes_of_any_dtype_come_out_as_they_were_put_in(made, tmp_path, dtype, shape):
    path = own_files.codes(tmp_path, shape=shape, dtype=dtype)
    module = made(path)
    assert (module.image_shape, module.levels, module.classes) == (shape, 300, None)
    assert module.splits == ("train", "val", "test")
    given = np.load(path).astype(int)
    assert np.array_equal(all_maps(module), sorted(given.reshape(len(given), -1).tolist()))
    assert {module.images(split).dtype for split in module.splits} == {np.dtype(np.uint16)}
    assert next(iter(module.train_dataloader())).images.dtype == torch.int32


def test_few_codes_are_bytes(made, tmp_path):
    module = made(own_files.codes(tmp_path, levels=20))
    assert module.levels == 20
    assert module.images("train").dtype == np.uint8
    assert next(iter(module.train_dataloader())).images.dtype == torch.uint8


@pytest.mark.parametrize(("levels", "most"), [(2, 2), (256, 256), (257, 257), (65_536, 65_536)])
def test_the_number_of_codes_is_found_and_said(made, tmp_path, caplog, levels, most):
    with caplog.at_level(logging.WARNING):
        module = made(own_files.codes(tmp_path, levels=levels))
    assert module.levels == most
    assert f"{most:,} levels, one more than the largest code; say data.levels" in caplog.text
    caplog.clear()
    assert made(tmp_path / "codes.npy").levels == most
    assert not caplog.text  # once is enough


def test_the_number_of_codes_may_be_given(made, tmp_path, caplog):
    path = own_files.codes(tmp_path, levels=300)
    module, found = made(path, levels=512), made(path)
    assert (module.levels, found.levels) == (512, 300)
    assert module.dataset_id != found.dataset_id
    with pytest.raises(DataError, match=r"codes.npy: holds the code 299, .* below data.levels=299"):
        made(path, levels=299)


def test_the_largest_code_of_all_files_counts(made, tmp_path):
    train = own_files.codes(tmp_path / "train", levels=10)
    val = own_files.codes(tmp_path / "val", levels=400, count=7)
    module = made(train, val=val, test=0)
    assert (module.levels, module.splits) == (400, ("train", "val"))
    assert np.array_equal(module.images("val")[:, 0], np.load(val))  # in the order of the file
    assert np.array_equal(module.images("train")[:, 0], np.load(train))


def test_adding_maps_moves_none_and_equal_maps_stay_together(made, tmp_path):
    maps = np.random.default_rng(1).integers(300, size=(200, 4, 4))
    np.save(tmp_path / "few.npy", np.concatenate([maps[:100], maps[:100]]))
    np.save(tmp_path / "many.npy", maps.astype(np.uint16)[::-1])  # another dtype, another order
    few, many = (made(tmp_path / f"{name}.npy", val=0.2) for name in ("few", "many"))

    def split_of(module):
        return {m.tobytes(): s for s in module.splits for m in module.images(s).astype("<u2")}

    before, after = split_of(few), split_of(many)
    assert sum(len(few.images(split)) for split in few.splits) == 200
    assert len(before) == 100
    assert {key: after[key] for key in before} == before


def test_the_facts_tell_the_bits_of_codes_that_are_drawn_apart(made, tmp_path):
    """Four of eight codes, two of them three times as often as the others."""
    maps = np.array([[[0, 0, 0, 2], [2, 2, 5, 7]]] * 6)
    np.save(tmp_path / "codes.npy", maps)
    facts = dict(made(tmp_path / "codes.npy", levels=8, val=0, test=0).image_set.facts())
    bits = -(2 * 3 / 8 * np.log2(3 / 8) + 2 * 1 / 8 * np.log2(1 / 8))
    assert facts["used in training"] == f"4 of 8 codes; each alone costs {bits:.3f} bits/dim"


def test_labels_go_with_their_maps(made, tmp_path):
    path = own_files.codes(tmp_path)
    labels = np.load(path).sum((1, 2)) % 4
    np.save(tmp_path / "labels.npy", labels.astype(np.int16))
    module = made(path, classes=tmp_path / "labels.npy")
    assert module.class_names == ("0", "1", "2", "3")
    for split in module.splits:
        found = module.images(split).astype(int).sum((1, 2, 3)) % 4
        assert np.array_equal(module.labels(split), found)


@pytest.mark.parametrize("largest", [65_536, 10**6, 2**63, 2**64 - 1])
def test_a_label_that_is_no_class_is_refused_before_it_costs_memory(tmp_path, largest):
    """A name is made for each class, so that the label 10^9 would take tens of gigabytes."""
    path = own_files.codes(tmp_path)
    labels = np.zeros(60, np.uint64)
    labels[7] = largest
    np.save(tmp_path / "labels.npy", labels)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=rf"labels.npy: holds the label {largest}, but each"):
            Codes(path=path, classes=tmp_path / "labels.npy", root=tmp_path / "data")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_few_maps_may_have_labels_of_many_classes(made, tmp_path):
    """A part of a large set keeps its numbers; more classes need as many maps."""
    path = own_files.codes(tmp_path)
    np.save(tmp_path / "labels.npy", np.arange(65_535, 65_535 - 60, -1))
    assert made(path, classes=tmp_path / "labels.npy").classes == 65_536
    many = tmp_path / "many.npy"
    np.save(many, np.arange(70_000))
    assert code_maps.labels(many, 70_000).max() == 69_999
    np.save(many, np.arange(1, 70_000))
    with pytest.raises(DataError, match=r"the label 69999, .* and 69,999 maps may have 69,999;"):
        code_maps.labels(many, 69_999)


@pytest.mark.parametrize("split", ["val", "test"])
def test_classes_of_other_files_are_those_of_training(made, tmp_path, split):
    path = own_files.codes(tmp_path)
    other = own_files.codes(tmp_path / "other", count=4)
    np.save(tmp_path / "labels.npy", np.arange(60) % 3 * 2)  # the classes 0, 2 and 4
    files = {"classes": tmp_path / "labels.npy", f"{split}_classes": tmp_path / "other.npy"}
    given = {"val": 0, "test": 0} | {split: other} | files
    np.save(tmp_path / "other.npy", np.array([4, 0, 0, 2], np.uint8))
    module = made(path, **given)
    assert module.class_names == ("0", "1", "2", "3", "4")
    assert module.labels(split).tolist() == [4, 0, 0, 2]
    for strange in (1, 5, 2**64 - 1):
        np.save(tmp_path / "other.npy", np.array([4, 0, strange, 2], np.uint64))
        with pytest.raises(DataError, match=rf"other.npy: holds the label {strange}, of which"):
            made(path, **given)


def test_changed_files_are_another_set(made, tmp_path):
    path = own_files.codes(tmp_path)
    before = made(path)
    maps = np.load(path)
    maps[3, 1, 1] ^= 1
    np.save(path, maps)
    os.utime(path, ns=(1, 1))
    after = made(path)
    assert before.dataset_id != after.dataset_id
    assert before.content_id != after.content_id


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = own_files.codes(tmp_path)
    module = Codes(path=path, root=tmp_path / "data")
    np.save(path, np.load(path)[:50])
    with pytest.raises(DataError, match="was changed while it was read; start again"):
        module.prepare_data()
    assert module.image_set.state() == "not converted"


def test_large_files_are_read_in_blocks(made, tmp_path, monkeypatch):
    path = own_files.codes(tmp_path)
    whole = all_maps(made(path))
    monkeypatch.setattr(code_maps, "_BLOCK", 30)
    module = Codes(path=path, root=tmp_path / "other", in_memory=False)
    module.prepare_data()
    assert np.array_equal(all_maps(module), whole)
    assert isinstance(module.images("train"), np.memmap)


BAD = {
    "float": (np.zeros((3, 2, 2)), r"found float64 \(3, 2, 2\); whole numbers are saved by"),
    "flat": (np.zeros((3, 4), int), r"\(N, H, W\) or \(N, C, H, W\), found int64 \(3, 4\)"),
    "below": (np.full((3, 2, 2), -1), r"codes must be in \[0, 65536\), found -1"),
    "large": (np.full((3, 2, 2), 65_536), r"codes must be in \[0, 65536\), found 65536"),
    "objects": (np.array([None, {}]), r"expected an array .npy of integers"),
    "few": (np.zeros((1, 2, 2), int), r"data.\w+: none of 1 maps is for"),
    "none": (np.zeros((0, 2, 2), int), r"expected an array .npy of integers .* \(0, 2, 2\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_codes_is_refused_in_one_line(made, tmp_path, name):
    content, says = BAD[name]
    np.save(tmp_path / "x.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=rf"x.npy: .*{says}") as error:
        made(tmp_path / "x.npy")
    assert "\n" not in str(error.value)


def test_wrong_files_and_keys_are_refused(made, tmp_path):
    path = own_files.codes(tmp_path)
    (tmp_path / "x.npz").write_bytes(b"PK")
    (tmp_path / "cut.npy").write_bytes(path.read_bytes()[:200])
    np.save(tmp_path / "other.npy", np.zeros((3, 5, 5), int))
    np.save(tmp_path / "labels.npy", np.zeros(59, int))
    np.save(tmp_path / "below.npy", np.full(60, -1))
    for settings, says in [
        ({"path": tmp_path / "no.npy"}, "no.npy: no such file; expected an array .npy"),
        ({"path": tmp_path / "x.npz"}, "x.npz: expected an array .npy of integers"),
        ({"path": tmp_path / "cut.npy"}, "cut.npy: expected an array .npy of integers"),
        ({"val": tmp_path / "other.npy"}, r"other.npy: maps are \(1, 5, 5\), but those of"),
        ({"classes": tmp_path / "labels.npy"}, r"one for each of 60 maps, found int64 \(59,\)"),
        ({"classes": tmp_path / "below.npy"}, "the least is -1"),
        ({"classes": path}, "whole numbers from 0, one for each"),
    ]:
        with pytest.raises(DataError, match=says):
            made(**{"path": path} | settings)
    for settings, says in [
        ({"val": 0.5, "test": 0.5}, "leave nothing to train on"),
        ({"val_classes": path}, "data.val_classes needs data.classes and a file data.val"),
        ({"val": path, "classes": tmp_path / "labels.npy"}, "needs data.val_classes, its labels"),
    ]:
        with pytest.raises(ConfigError, match=says):
            made(path, **settings)
    with pytest.raises(ValueError, match="levels"):
        made(path, levels=65_537)
