"""Archives made to do harm: refused, and nothing appears outside the root."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from pixelrnn.errors import DataError
from tests.data import raw_formats as raw
from tests.data import stored_sets


def _replace_tar(module, part, members, mode):
    """Another archive in place of the raw file, and its checksum in the table."""
    path = module.image_set.root / "raw" / module.image_set.source.files[part][0].name
    raw.write_tar(path, members, mode)
    files = {
        p: [path] if f[0].name == path.name else f for p, f in module.image_set.source.files.items()
    }
    module.image_set.source = raw.spec(
        module.image_set.source, module.image_set.source.parts, files
    )


@pytest.mark.parametrize(
    "member",
    [
        raw.link("train_32x32/0000000.png", "/etc/passwd"),
        raw.link("train_32x32/0000000.png", "train_32x32/0000001.png", tarfile.LNKTYPE),
        raw.link("train_32x32/x", "", tarfile.CHRTYPE),
        raw.link("train_32x32/x", "", tarfile.FIFOTYPE),
    ],
    ids=["symlink", "hardlink", "device", "fifo"],
)
def test_png_tar_with_links_or_devices_is_refused(member, tmp_path):
    module, images = stored_sets.imagenet(tmp_path)
    members = [*raw.png_members(images["train"]).items(), ("", member)]
    _replace_tar(module, "train", members, "w:")
    with pytest.raises(DataError, match="is no plain file"):
        module.prepare_data()


def test_png_tar_with_paths_that_lead_out_writes_nothing_there(tmp_path):
    root = tmp_path / "root"
    module, images = stored_sets.imagenet(root)
    names = ["../../evil.png", "/tmp/pixelrnn-evil.png", "a/../../../evil2.png"]
    members = list(raw.png_members(images["train"]).items())[3:]
    members += [(name, raw.png(images["train"][0])) for name in names]
    _replace_tar(module, "train", members, "w:")
    module.prepare_data()
    assert not list(tmp_path.rglob("*evil*"))
    assert {path.name for path in tmp_path.iterdir()} == {"root"}


def test_png_tar_with_doubled_names_is_refused(tmp_path):
    module, images = stored_sets.imagenet(tmp_path)
    members = list(raw.png_members(images["train"]).items())
    _replace_tar(module, "train", [*members[1:], members[1]], "w:")
    with pytest.raises(DataError, match="two members have the same name"):
        module.prepare_data()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (raw.png(raw.pixels(0, 1, 3, 64, 64)[0]), "expected 32 x 32 pixels, found 64 x 64"),
        (b"\x89PNG\r\n\x1a\n", "expected a PNG image"),
        (b"GIF89a" + bytes(50), "expected a PNG image"),
        (raw.png(raw.pixels(0, 1, 3, 32, 32)[0])[:-400], "expected a PNG image"),
        (bytes(2 << 20), "expected a PNG of 32 x 32, found 2,097,152 bytes"),
    ],
    ids=["size", "header", "gif", "cut", "huge"],
)
def test_png_tar_with_a_bad_image_names_it(content, reason, tmp_path):
    module, images = stored_sets.imagenet(tmp_path)
    members = raw.png_members(images["train"]) | {"train_32x32/0000007.png": content}
    _replace_tar(module, "train", members, "w:")
    with pytest.raises(DataError, match=rf"0000007\.png: {reason}"):
        module.prepare_data()


def test_grey_and_palette_images_become_rgb(tmp_path):
    module, images = stored_sets.imagenet(tmp_path)
    members = raw.png_members(images["train"])
    members["train_32x32/0000003.png"] = raw.png(images["train"][3], "L")
    _replace_tar(module, "train", members, "w:")
    module.prepare_data()
    red, green, blue = module.image_set.part("train")[3]
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)


@pytest.mark.parametrize("what", ["symlink", "doubled", "missing", "size", "not a tar", "not gzip"])
def test_bad_cifar_archives_are_refused(what, tmp_path):
    module, images = stored_sets.cifar10(tmp_path)
    members = raw.cifar_members(images["train"], images["test"])
    name = "cifar-10-batches-bin/data_batch_2.bin"
    original = list(members.items())
    mode = "w:gz"
    if what == "symlink":
        members[name] = raw.link(name, "/etc/passwd")
    elif what == "doubled":
        members = [*original, (name, members[name])]
    elif what == "missing":
        del members[name]
    elif what == "size":
        members[name] = members[name][:-1]
    elif what == "not gzip":
        mode = "w:"
    _replace_tar(module, "train", members, mode)
    if what == "not a tar":
        path = tmp_path / "raw" / "cifar-10-binary.tar.gz"
        path.write_bytes(b"nothing of the kind")
        files = {part: [path] for part in module.image_set.source.files}
        module.image_set.source = raw.spec(
            module.image_set.source, module.image_set.source.parts, files
        )
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz.*fetched again"):
        module.prepare_data()
    assert not module.image_set.store.ready()


def test_cifar_archive_may_hold_other_members_that_go_nowhere(tmp_path):
    root = tmp_path / "root"
    module, images = stored_sets.cifar10(root)
    members = {"../../evil": b"x", "/tmp/pixelrnn-evil": b"x"}
    members |= raw.cifar_members(images["train"], images["test"])
    members["evil-link"] = raw.link("evil-link", "../../..")
    _replace_tar(module, "train", members, "w:gz")
    module.prepare_data()
    np.testing.assert_array_equal(module.image_set.part("train"), images["train"])
    assert {path.name for path in tmp_path.iterdir()} == {"root"}


class _Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_the_python_version_is_answered_by_the_binary_archive(tmp_path):
    module, _ = stored_sets.cifar10(tmp_path)
    (tmp_path / "raw" / "cifar-10-binary.tar.gz").unlink()
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"cifar-10-batches-py is the Python version.*binary"):
        module.prepare_data()


BAD_LABELS = {
    "label 0": np.array([0, 1]),
    "label 1001": np.array([1, 1001]),
    "three labels": np.array([1, 2, 3]),
    "labels of text": np.array(["1", "2"]),
}


@pytest.mark.parametrize(
    "what", ["objects", "float", "width", "fortran", "gap", "none", "no data", *BAD_LABELS]
)
def test_bad_npz_batches_are_refused(what, tmp_path):
    module, images = stored_sets.imagenet(tmp_path, "imagenet32_box")
    path = tmp_path / "raw" / "Imagenet32_train_part1_npz.zip"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "Imagenet32_train_npz/train_data_batch_4.npz"
    batch = images["train"][6:8]
    flat = batch.reshape(2, -1)
    if what == "objects":
        members[name] = _npz(np.array([[_Runs(print, "ran")], [None]]))
    elif what == "float":
        members[name] = raw.npz(batch.astype(np.float32))
    elif what == "width":
        members[name] = raw.npz(flat[:, 1:])
    elif what == "fortran":
        members[name] = _npz(np.asfortranarray(flat), labels=np.ones(2, np.int64))
    elif what == "gap":
        members["Imagenet32_train_npz/train_data_batch_12.npz"] = members.pop(name)
    elif what == "none":
        members = {"readme.txt": b"no batches"}
    elif what == "no data":
        members[name] = b"PK not really"
    elif what in BAD_LABELS:
        members[name] = _npz(flat, labels=BAD_LABELS[what])
    raw.write_zip(path, members)
    files = dict(module.image_set.source.files) | {"train": [path]}
    module.image_set.source = raw.spec(
        module.image_set.source, module.image_set.source.parts, files
    )
    with pytest.raises(DataError, match=r"Imagenet32_train.*expected"):
        module.prepare_data()
    assert not module.image_set.store.ready()
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_array_that_claims_more_than_there_can_be_is_refused(tmp_path):
    """A few bytes of zip may unpack to terabytes, and a header may promise what is not there."""
    module, _ = stored_sets.imagenet(tmp_path, "imagenet32_box")
    path = tmp_path / "raw" / "Imagenet32_val_npz.zip"
    for rows, content in ((1 << 40, bytes(100)), (10_000, bytes(10_000 * 3072))):
        buffer = io.BytesIO()
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, 3072)}
        np.lib.format.write_array_header_1_0(buffer, header)
        npz = io.BytesIO()
        with zipfile.ZipFile(npz, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.npy", buffer.getvalue() + content)
            archive.writestr("labels.npy", _npy(np.ones(1, np.int64)))
        raw.write_zip(path, {"val_data.npz": npz.getvalue()})
        files = dict(module.image_set.source.files) | {"valid": [path]}
        module.image_set.source = raw.spec(
            module.image_set.source, {"train": 20, "valid": 10}, files
        )
        with pytest.raises(DataError, match=r"val_data.npz: expected"):
            module.prepare_data()


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(data, **arrays):
    buffer = io.BytesIO()
    np.savez(buffer, data=data, **arrays)
    return buffer.getvalue()
