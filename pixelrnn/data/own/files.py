"""Where pictures lie: a folder, a zip or a tar. Nothing is unpacked to the disc.

A unit is what can change by itself: a file of a folder, or an archive as a whole.
"""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from pixelrnn.data.disk import explained
from pixelrnn.data.own import pictures
from pixelrnn.data.own.bad import Bad, shown
from pixelrnn.errors import DataError

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif"))
_OTHERS = (
    "tif tiff bmp heic heif avif jxl jp2 j2k ppm pgm pbm pnm svg psd tga ico dng raw cr2 cr3 nef "
    "arw orf rw2 exr hdr"
)
FOREIGN = frozenset(f".{ending}" for ending in _OTHERS.split())
"""Endings of pictures that are not read. To pass over them without a word would lose data."""

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_OF_A_RUN = {"config.yaml", "environment.json"}
"""A folder with these is a run, which may have drawn pictures of its own; it is passed over."""

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Unit(NamedTuple):
    """A file on disc, and what tells whether it was changed.

    Attributes:
        name: its path within the folder, with /; "" for an archive.
        size: bytes.
        mtime_ns: when it was changed, in nanoseconds.
    """

    name: str
    size: int
    mtime_ns: int


class Found(NamedTuple):
    """A file within a unit.

    Attributes:
        name: its path within the folder or the archive, with /.
        content: the whole file, or why it cannot be used; None: it is no picture by its name, and
            is passed over.
    """

    name: str
    content: bytes | Bad | None


def is_archive(path: Path) -> bool:
    """Whether a path names an archive of pictures."""
    return path.name.lower().endswith(ARCHIVES)


def units(path: Path, without: Path | None = None) -> Iterator[Unit]:
    """Every file of a folder, hidden ones left out, or the archive itself. Nothing is read.

    Args:
        path: the folder or the archive.
        without: a folder in it that is passed over, if it is there.

    Raises:
        DataError: there is no such file or folder, or it may not be read.
    """
    with explained(path):
        if not path.is_dir():
            about = path.stat()
            yield Unit("", about.st_size, about.st_mtime_ns)
            return
        done = set()
        if without is not None and without.is_dir():
            about = without.stat()
            done.add((about.st_dev, about.st_ino))
        yield from _walk(path, "", done)


def contents(path: Path, unit: Unit) -> Iterator[Found]:
    """What a unit holds: itself, or all members of an archive in the order in which they lie.

    Raises:
        DataError: the archive is damaged.
    """
    if unit.name:
        yield Found(unit.name, _file(path / unit.name) if _wanted(unit.name) else None)
        return
    members = _zip if path.name.lower().endswith(".zip") else _tar
    seen: set[str] = set()
    with explained(path):
        try:
            for found in members(path):
                if found.name in seen:
                    raise DataError(f"{path}: two members are called {shown(found.name)}")
                seen.add(found.name)
                yield found
        except (*_BROKEN, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disc, not the data
                raise
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: expected a whole archive of pictures ({reason})") from error


def _walk(folder: Path, prefix: str, done: set[tuple[int, int]]) -> Iterator[Unit]:
    """All files below a folder but those of folders that are `done`; links are followed.

    A folder is done while what is below it is listed, so that no circle is followed.
    """
    about = folder.stat()
    here = (about.st_dev, about.st_ino)
    if here in done:
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    if {entry.name for entry in entries} >= _OF_A_RUN:
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if _hidden(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{name}/", done | {here})
            continue
        try:
            about = entry.stat()
        except OSError:  # a link that leads nowhere, or in a circle
            yield Unit(name, 0, 0)
            continue
        yield Unit(name, about.st_size, about.st_mtime_ns)


def _file(path: Path) -> bytes | Bad:
    """A whole file; a pipe or a device, which might never end, is not opened."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return Bad("no plain file")
        return _too_large(about.st_size) or path.read_bytes()
    except OSError as error:
        return Bad(f"not readable: {(error.strerror or str(error)).lower()}")


def _zip(path: Path) -> Iterator[Found]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = _plain(member.filename)
            if member.is_dir() or _hidden(name):
                continue
            if not _wanted(name):
                yield Found(name, None)
            elif member.flag_bits & 1:
                yield Found(name, Bad("encrypted"))
            else:
                yield Found(name, _too_large(member.file_size) or archive.read(member))


def _tar(path: Path) -> Iterator[Found]:
    with _unpacked(path) as file:
        bounded: Any = _Bounded(file)
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            kept: Any = archive
            while (member := archive.next()) is not None:
                kept.members.clear()  # tarfile keeps them all
                name = _plain(member.name)
                if not member.isdir() and not _hidden(name):
                    yield Found(name, _member(archive, member) if _wanted(name) else None)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | Bad:
    if not member.isreg() or member.issparse():
        return Bad("no plain file")
    if too_large := _too_large(member.size):
        return too_large
    stream = archive.extractfile(member)
    data = stream.read() if stream else b""
    if len(data) != member.size:
        raise EOFError(f"{shown(member.name)} is cut off")
    return data


def _unpacked(path: Path) -> IO[bytes]:
    """The tar in a file that may be packed."""
    with open(path, "rb") as file:
        start = file.read(6)
    openers: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
    for signature, opener in openers.items():
        if start.startswith(signature):
            unpacked: IO[bytes] = opener(path, "rb")
            return unpacked
    return open(path, "rb")


class _Bounded:
    """A file of which no one reads much at once: a tar's notes may claim any length."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek = file.seek
        self.tell = file.tell
        self._read = file.read

    def read(self, size: int) -> bytes:
        if size > pictures.LARGEST + tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"it holds notes of {size:,} bytes")
        return self._read(size)


def _too_large(size: int) -> Bad | None:
    return Bad(f"larger than {pictures.LARGEST >> 20} MiB") if size > pictures.LARGEST else None


def _plain(name: str) -> str:
    """A member's name without what leads up or out: it names a class, and stands in messages."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "/".join(part for part in parts if part not in ("/", "//", ".."))


def _hidden(name: str) -> bool:
    """What file managers leave behind, and files that begin with a dot."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _wanted(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in ENDINGS | FOREIGN
