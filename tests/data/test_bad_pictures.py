"""Files that cannot be used: each kind has its words; they are refused, or counted and left out."""

import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from pixelrnn.data import Images
from pixelrnn.data.own import files
from pixelrnn.errors import DataError
from tests.data import own_files
from tests.data import raw_formats as raw


def _made(path, **settings):
    return own_files.loaded(Images, path, root=path.parent / "data", val=0, test=0, **settings)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(height, width, depth, color, pixels=None):
    """A PNG of nought, byte by byte: Pillow writes none with 16 bits per colour."""
    samples = {0: 1, 2: 3, 6: 4}[color] * depth // 8
    if pixels is None:
        pixels = (b"\0" + bytes(width * samples)) * height
    rows = zlib.compress(pixels)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _animated(format):
    frames = [own_files.picture(seed) for seed in range(3)]
    return own_files.encoded(frames[0], format, save_all=True, append_images=frames[1:])


GOOD = own_files.encoded(own_files.picture(0))
NOISE = Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))
KINDS = {
    "text.png": (b"not a picture", "no picture of PNG, JPEG, WebP or GIF"),
    "scan.tif": (own_files.encoded(own_files.picture(0), "TIFF"), "no picture of PNG, JPEG, "),
    "bitmap.png": (own_files.encoded(own_files.picture(0), "BMP"), "no picture of PNG, JPEG, "),
    "empty.jpg": (b"", "empty"),
    "header.png": (GOOD[:12], "damaged or cut off"),
    "cut.png": (own_files.encoded(NOISE)[:-5000], "damaged or cut off"),
    "cut.jpg": (own_files.encoded(NOISE, "JPEG")[:-2000], "damaged or cut off"),
    "cut.webp": (own_files.encoded(NOISE, "WEBP")[:-1000], "damaged or cut off"),
    "cut.gif": (own_files.encoded(NOISE.convert("P"), "GIF")[:-2000], "damaged or cut off"),
    "flip.png": (GOOD[:45] + b"\xff" + GOOD[46:], "damaged or cut off"),
    "film.gif": (_animated("GIF"), "animated"),
    "film.webp": (_animated("WEBP"), "animated"),
    "film.png": (_animated("PNG"), "animated"),
    "deep-grey.png": (_png(64, 64, 16, 0), "with 16 bits per colour, not 8"),
    "deep-rgb.png": (_png(64, 64, 16, 2), "with 16 bits per colour, not 8"),
    "deep-rgba.png": (_png(64, 64, 16, 6), "with 16 bits per colour, not 8"),
    "print.jpg": (
        own_files.encoded(NOISE.convert("CMYK"), "JPEG"),
        "with colours of CMYK, not RGB",
    ),
    "bomb.png": (_png(1, 1, 8, 0)[:16] + struct.pack(">II", 60_000, 60_000), "of more than 178,95"),
}


def _bomb():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b""))


KINDS["bomb.png"] = (_bomb(), "of more than 178,956,970 pixels, Pillow's limit")


@pytest.mark.parametrize("name", KINDS)
def test_a_bad_file_is_named_and_can_be_left_out(name, tmp_path, caplog):
    data, kind = KINDS[name]
    path = own_files.folder(tmp_path / "photos", count=3)
    (path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        _made(path, size=8)
    assert str(caught.value).startswith(f"{path}: 1 of 4 files cannot be used: 1 {kind}")
    assert str(caught.value).endswith(
        f" ({name}); mend or remove them, or leave them out with data.skip_bad=true"
    )
    assert not list(tmp_path.rglob("meta.json"))
    module = _made(path, size=8, skip_bad=True)
    assert len(module.images("train")) == 3
    assert f"1 of 4 files cannot be used: 1 {kind}" in caplog.text
    with pytest.raises(DataError, match=r"1 of 4 files cannot be used"):
        _made(path, size=8)  # what was converted without it does not make it good


def test_several_kinds_are_counted_and_the_first_of_each_is_named(tmp_path):
    path = own_files.folder(tmp_path / "photos", count=3)
    for index in range(3):
        (path / f"b{index}.png").write_bytes(b"text")
    (path / "a.gif").write_bytes(_animated("GIF"))
    with pytest.raises(DataError) as caught:
        _made(path)
    assert (
        "4 of 7 files cannot be used: 3 no picture of PNG, JPEG, WebP or GIF (first: b0.png), "
        "1 animated (a.gif)"
    ) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_that_are_too_small_to_be_cut(tmp_path):
    path = own_files.folder(tmp_path / "photos", count=3, height=8, width=12)
    own_files.picture(9, 20, 20).save(path / "large.png")
    for fit in ("crop", "tiles"):
        with pytest.raises(DataError, match=r"3 of 4 .* 3 smaller than 9 x 9 \(first: 000\.png\)"):
            _made(path, size=9, fit=fit)
    assert len(_made(path, size=9, fit="crop", skip_bad=True).images("train")) == 1
    assert len(_made(path, size=9, fit="crop", short_side=9).images("train")) == 4
    with pytest.raises(DataError, match="4 of 4"):
        _made(path, size=30, fit="crop", skip_bad=True)


def test_pictures_of_other_sizes_need_a_size(tmp_path):
    path = own_files.folder(tmp_path / "photos", count=3)
    own_files.picture(9, 7, 20).save(path / "wide.png")
    with pytest.raises(
        DataError, match=r"3 of 4 have 8 x 8, wide\.png has 7 x 20 \(rows x columns\).*data\.size="
    ):
        _made(path, skip_bad=True)
    assert _made(path, size=[5, 6]).image_shape == (3, 5, 6)


def test_folders_without_pictures_and_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for name in (".hidden.png", "sub/.DS_Store"):
        (tmp_path / "photos" / name).write_bytes(GOOD)
    with pytest.raises(DataError, match=r"photos: no pictures there \(PNG, JPEG, WebP or GIF\)$"):
        _made(tmp_path / "photos")
    (tmp_path / "photos" / "notes.txt").write_bytes(b"text")
    with pytest.raises(DataError, match=r"no pictures there .*; 1 other files lie there"):
        _made(tmp_path / "photos")
    with pytest.raises(DataError, match="gone: no such folder or file"):
        _made(tmp_path / "gone")
    with pytest.raises(DataError, match=r"notes\.txt: expected a folder, or a file \.npy, \.npz"):
        _made(tmp_path / "photos" / "notes.txt")


def test_files_that_may_not_be_read_pipes_and_links_that_lead_nowhere(tmp_path, monkeypatch):
    path = own_files.folder(tmp_path / "photos", count=3)
    (path / "link.png").symlink_to("nowhere.png")
    os.mkfifo(path / "pipe.png")
    (path / "round").symlink_to("..", target_is_directory=True)
    read = files.Path.read_bytes

    def refuse(self):
        if self.name == "001.png":
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(files.Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(DataError) as caught:
        _made(path)
    for kind in (
        "1 no plain file (pipe.png)",
        "1 not readable: no such file or directory (link.png)",
        "1 not readable: permission denied (001.png)",
    ):
        assert kind in str(caught.value)


def test_names_that_are_no_text_are_shown_on_one_line(tmp_path):
    path = own_files.folder(tmp_path / "photos", count=3)
    with open(os.fsencode(path) + b"/a\xff\nb.png", "wb") as file:
        file.write(b"text")
    with pytest.raises(DataError, match=r"\(a\?\?b\.png\)"):
        _made(path)
    assert len(_made(path, skip_bad=True).images("train")) == 3
    with open(os.fsencode(path) + b"/a\xff\nb.png", "wb") as file:
        file.write(GOOD)
    module = _made(path)
    assert len(module.images("train")) == 4
    names = (module.image_set.store.folder / "train.txt").read_text().splitlines()
    assert names[-1] == "a??b.png"


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = own_files.folder(tmp_path / "photos", count=3)
    module = Images(path=path, root=tmp_path / "data", val=0, test=0)
    own_files.picture(50).save(path / "001.png")
    with pytest.raises(DataError, match=r"001\.png was changed while it was read; start again"):
        module.prepare_data()
    module = Images(path=path, root=tmp_path / "data", val=0, test=0)
    (path / "001.png").unlink()
    with pytest.raises(DataError, match=r"001\.png was changed"):
        module.prepare_data()
    assert not list(tmp_path.rglob("meta.json"))
    assert not list((tmp_path / "data").rglob("*.tmp"))


HOSTILE = {
    "../../evil.png": GOOD,
    "/tmp/pixelrnn-evil.png": GOOD,
    "a\\..\\..\\evil.png": GOOD,
    "__MACOSX/._evil.png": b"notes of a file manager",
    "readme.txt": b"text",
}


def test_hostile_names_in_archives_lead_nowhere(tmp_path):
    (tmp_path / "in").mkdir()
    members = {f"{n}.png": own_files.encoded(own_files.picture(n)) for n in range(3)} | HOSTILE
    with zipfile.ZipFile(tmp_path / "in" / "x.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    raw.write_tar(tmp_path / "in" / "x.tar.gz", members)
    before = {path.name for path in (tmp_path / "in").iterdir()}
    for name in ("x.zip", "x.tar.gz"):
        module = _made(tmp_path / "in" / name)
        assert len(module.images("train")) == 6
        assert module.image_set.conversion.sources[""].passed_over == 1
    assert {path.name for path in (tmp_path / "in").iterdir()} - before == {"data"} - before
    assert not list(tmp_path.rglob("*evil*"))


def test_links_in_a_tar_and_encrypted_members_of_a_zip_are_not_read(tmp_path):
    members = [("a.png", GOOD), ("", raw.link("b.png", "/etc/passwd"))]
    raw.write_tar(tmp_path / "x.tar", members, "w")
    with pytest.raises(DataError, match=r"1 of 2 .* 1 no plain file \(b\.png\)"):
        _made(tmp_path / "x.tar")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", GOOD)
        archive.writestr("b.png", GOOD)
    data = bytearray(file.getvalue())
    last = data.rindex(b"PK\x01\x02")
    data[last + 8] |= 1
    (tmp_path / "y.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"1 of 2 .* 1 encrypted \(b\.png\)"):
        _made(tmp_path / "y.zip")


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz"])
@pytest.mark.parametrize("what", ["cut", "text", "doubled"])
def test_damaged_archives_are_refused(name, what, tmp_path):
    path = tmp_path / name
    noise = own_files.encoded(NOISE)
    members = [("a.png", noise), ("a.png" if what == "doubled" else "b.png", noise)]
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members[: 1 if what == "doubled" else 2]:
                archive.writestr(member, data)
            if what == "doubled":
                archive.writestr("./a.png", noise)
    else:
        mode = {"x.tar": "w", "x.tar.gz": "w:gz", "x.tar.bz2": "w:bz2", "x.tar.xz": "w:xz"}[name]
        raw.write_tar(path, members, mode)
    if what == "cut":
        path.write_bytes(path.read_bytes()[:-9000])
    elif what == "text":
        path.write_bytes(b"nothing of the kind")
    says = r"two members are called a\.png" if what == "doubled" else "expected a whole archive"
    with pytest.raises(DataError, match=says) as caught:
        _made(path)
    assert str(path) in str(caught.value)


def test_a_member_that_claims_too_much_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pixelrnn.data.own.pictures.LARGEST", 1 << 20)
    members = {"a.png": GOOD, "b.png": bytes(2 << 20)}
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    raw.write_tar(tmp_path / "x.tgz", members)
    for name in ("x.zip", "x.tgz"):
        with pytest.raises(DataError, match=r"1 of 2 .* 1 larger than 1 MiB \(b\.png\)"):
            _made(tmp_path / name)
    notes = raw.tarfile.TarInfo("notes")
    notes.type, notes.size = raw.tarfile.XHDTYPE, 2 << 20
    content = notes.tobuf() + bytes(2 << 20) + bytes(1024)
    (tmp_path / "y.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"y\.tar: expected a whole archive .*notes of 2,097,152"):
        _made(tmp_path / "y.tar")
