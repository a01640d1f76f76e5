"""A zip of .npz batches as one array (the `box` sets of downsampled ImageNet).

    <zip>/[folder/]train_data_batch_<i>.npz    data: uint8 (n, 3 S S), planes R, G, B; labels; mean
    <zip>/[folder/]val_data.npz

A batch is copied out to an unnamed temporary file first, since an .npz is itself a zip, whose
directory stands at its end. Memory: a block of images.
"""

import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from pixelrnn.data.converted import PartWriter
from pixelrnn.data.download import progress
from pixelrnn.errors import DataError

_BLOCK = 4096  # images
_COPY = 1 << 20
_NAMES = {
    "train": re.compile(r"train_data_batch_(\d+)\.npz"),
    "valid": re.compile(r"val_data()\.npz"),
}
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def convert(paths: Sequence[Path], part: str, members: Mapping[str, str], out: PartWriter) -> None:
    """Write the images of all batches, in the order of their numbers.

    Args:
        paths: the zips.
        part: "train" or "valid".
        members: MD5 of the batches, those known.
        out: where to.

    Raises:
        DataError: damaged, batches missing or doubled, objects in place of numbers, or another
            number of images than expected.
    """
    total = out.shape[0]
    with progress(total, f"convert {paths[0].name}", "images") as bar:
        for path, name in _batches(paths, part):
            for images in _images(path, name, members, out):
                out.write(images)
                bar.update(len(images))
    out.check_count()


def holds(path: Path, members: Mapping[str, str]) -> bool:
    """Whether a zip holds batches and all of them have the known MD5."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npz")]
            return bool(names) and all(
                _md5(archive, name) == members.get(_base(name)) for name in names
            )
    except _UNREADABLE:
        return False


def _batches(paths: Sequence[Path], part: str) -> list[tuple[Path, str]]:
    """(zip, member) of every batch, in order."""
    found: dict[int, tuple[Path, str]] = {}
    for path in paths:
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except _UNREADABLE as error:
            raise DataError(f"{path}: expected a zip archive ({error})") from error
        for name in names:
            if match := _NAMES[part].fullmatch(_base(name)):
                number = int(match[1] or 1)
                if number in found:
                    raise DataError(f"{path}: {name} is doubled")
                found[number] = (path, name)
    if not found or sorted(found) != list(range(1, len(found) + 1)):
        raise DataError(
            f"{', '.join(map(str, paths))}: expected {_NAMES[part].pattern} numbered from 1, "
            f"found numbers {sorted(found)}"
        )
    return [found[number] for number in sorted(found)]


def _images(
    path: Path, name: str, members: Mapping[str, str], out: PartWriter
) -> Iterator[np.ndarray]:
    """Blocks of images of one batch: uint8 (n, 3, S, S)."""
    title = f"{path}: {name}"
    with tempfile.TemporaryFile(dir=out.folder) as batch:
        try:
            with zipfile.ZipFile(path) as archive:
                limit = 2 * out.nbytes + _COPY
                if archive.getinfo(name).file_size > limit:
                    raise DataError(f"{title}: expected less than {limit:,} bytes")
                with archive.open(name) as stream:
                    shutil.copyfileobj(stream, batch, _COPY)
            _check_md5(batch, title, members.get(_base(name)))
            with zipfile.ZipFile(batch) as npz, npz.open("data.npy") as stream:
                yield from _rows(stream, title, out.shape[1:])
        except (*_UNREADABLE, KeyError, ValueError) as error:
            raise DataError(f"{title}: expected an .npz with uint8 data ({error})") from error


def _rows(stream: IO[bytes], title: str, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The array of an open data.npy, block by block."""
    width = int(np.prod(shape))
    major = np.lib.format.read_magic(stream)[0]
    read = (
        np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    )
    found, fortran, dtype = read(stream)
    if dtype != np.uint8 or fortran or len(found) != 2 or found[1] != width:
        raise DataError(f"{title}: expected uint8 (n, {width}), found {dtype} {found}")
    for start in range(0, found[0], _BLOCK):
        size = min(_BLOCK, found[0] - start) * width
        data = stream.read(size)
        if len(data) != size:
            raise DataError(f"{title}: cut short")
        yield np.frombuffer(data, np.uint8).reshape(-1, *shape)
    stream.read(1)  # at its end, zipfile compares the checksum


def _check_md5(batch: IO[bytes], title: str, expected: str | None) -> None:
    if expected is None:
        return
    batch.seek(0)
    found = hashlib.file_digest(batch, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        raise DataError(f"{title} is damaged: expected MD5 {expected}, found {found}")


def _md5(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]
