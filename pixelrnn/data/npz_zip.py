"""A zip of .npz batches as one array (the `box` sets of downsampled ImageNet).

    <zip>/[folder/]train_data_batch_<i>.npz    data: uint8 (n, 3 S S), planes R, G, B; labels from 1
    <zip>/[folder/]val_data.npz

A batch is copied out to an unnamed temporary file first, since an .npz is itself a zip, whose
directory stands at its end. Memory: a batch of images, 0.4 GB at 32 x 32 and 1.6 GB at 64 x 64.
"""

import hashlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelrnn.data.part_writer import PartWriter
from pixelrnn.data.progress import progress
from pixelrnn.errors import DataError

_COPY = 1 << 20
_CLASSES = 1000
_NAMES = {
    "train": re.compile(r"train_data_batch_(\d+)\.npz"),
    "valid": re.compile(r"val_data()\.npz"),
}
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def convert(
    paths: Sequence[Path],
    part: str,
    members: Mapping[str, str],
    images_out: PartWriter,
    labels_out: PartWriter,
) -> None:
    """Write the images and labels of all batches, in the order of their numbers.

    Args:
        paths: the zips.
        part: "train" or "valid".
        members: MD5 of the batches, those known.
        images_out: where the images go: uint8 (n, 3, S, S).
        labels_out: where the labels go, counted from 0: int64 (n,).

    Raises:
        DataError: damaged, batches missing or doubled, objects in place of numbers, or another
            number of images than expected.
    """
    with progress(images_out.shape[0], f"convert {paths[0].name}", "images") as bar:
        for path, name in _batches(paths, part):
            images, labels = _batch(path, name, members, images_out)
            images_out.write(images.reshape(-1, *images_out.shape[1:]))
            labels_out.write(labels.astype(np.int64) - 1)
            bar.update(len(images))
    images_out.check_count()


def holds(path: Path, members: Mapping[str, str]) -> bool:
    """Whether a zip holds batches and all of them have the known MD5."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npz")]
            for name in names:
                with archive.open(name) as stream:
                    if _md5(stream) != members.get(_base(name)):
                        return False
    except _UNREADABLE:
        return False
    return bool(names)


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


def _batch(
    path: Path, name: str, members: Mapping[str, str], out: PartWriter
) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (n, 3 S S), and labels, integers (n,), of one batch."""
    title = f"{path}: {name}"
    limit = 2 * out.nbytes + _COPY
    width = np.prod(out.shape[1:])
    with tempfile.TemporaryFile(dir=out.folder) as batch:
        try:
            with zipfile.ZipFile(path) as archive:
                _check_size(archive, name, limit, title)
                with archive.open(name) as stream:
                    shutil.copyfileobj(stream, batch, _COPY)
            _check_md5(batch, title, members.get(_base(name)))
            with zipfile.ZipFile(batch) as npz:
                for array in ("data.npy", "labels.npy"):
                    _check_size(npz, array, limit, title)
            batch.seek(0)
            with np.load(batch, allow_pickle=False) as arrays:
                images, labels = arrays["data"], arrays["labels"]
        except (*_UNREADABLE, KeyError, ValueError, MemoryError) as error:
            raise DataError(f"{title}: expected an .npz with uint8 data ({error})") from error
    as_published = images.dtype == np.uint8 and images.flags.c_contiguous
    if not as_published or images.shape[1:] != (width,):
        found = f"{images.dtype} {images.shape}"
        raise DataError(f"{title}: expected uint8 (n, {width}) row by row, found {found}")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise DataError(f"{title}: expected a label per image, found {labels.dtype} {labels.shape}")
    if labels.size and not 1 <= labels.min() <= labels.max() <= _CLASSES:
        raise DataError(
            f"{title}: expected labels 1 to {_CLASSES}, found {labels.min()} to {labels.max()}"
        )
    return images, labels


def _check_size(archive: zipfile.ZipFile, name: str, limit: int, title: str) -> None:
    if archive.getinfo(name).file_size > limit:
        raise DataError(f"{title}: expected less than {limit:,} bytes in {name}")


def _check_md5(batch: Any, title: str, expected: str | None) -> None:
    if expected is None:
        return
    batch.seek(0)
    found = _md5(batch)
    if found != expected:
        raise DataError(f"{title} is damaged: expected MD5 {expected}, found {found}")


def _md5(stream: Any) -> str:
    return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _base(name: str) -> str:
    return name.rsplit("/", 1)[-1]
