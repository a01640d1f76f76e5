"""A tar of PNG files as one array, in the order of their names.

The order of the names, and not that of the archive, makes the indices the same for everybody.
Memory: the names (about 100 MB for 1.28 million) and a block of images.
"""

import io
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from pixelrnn.data.part_writer import PartWriter
from pixelrnn.data.progress import progress
from pixelrnn.errors import DataError

_BLOCK = 1024  # images
_LARGEST = 1 << 20  # bytes of one PNG; a 64 x 64 image cannot need more


def convert(path: Path, out: PartWriter) -> None:
    """Decode all PNG files of an uncompressed tar; nothing is unpacked to the disc.

    Raises:
        DataError: damaged, links or doubled names among the members, another number of images
            than expected, or an image of another size.
    """
    names, offsets, sizes = index(path, expected=out.shape[0])
    if len(names) != out.shape[0]:
        raise DataError(f"{path}: expected {out.shape[0]:,} PNG files, found {len(names):,}")
    order = sorted(range(len(names)), key=names.__getitem__)
    with open(path, "rb") as stream, progress(len(order), f"convert {path.name}", "images") as bar:
        for start in range(0, len(order), _BLOCK):
            block = order[start : start + _BLOCK]
            images = np.empty((len(block), *out.shape[1:]), np.uint8)
            for row, member in enumerate(block):
                stream.seek(offsets[member])
                images[row] = _decode(stream, sizes[member], out.shape, f"{path}: {names[member]}")
            out.write(images)
            bar.update(len(block))


def index(path: Path, expected: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, byte offsets and sizes of the PNG files of a tar, in the order of the archive.

    Raises:
        DataError: see `convert`.
    """
    names: list[str] = []
    positions: list[tuple[int, int]] = []
    try:
        with (
            tarfile.open(path, "r:") as archive,
            progress(expected, f"index {path.name}", "images") as bar,
        ):
            kept: Any = archive
            while (member := archive.next()) is not None:
                kept.members.clear()  # tarfile keeps them all: a gigabyte here
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise DataError(f"{path}: {member.name} is no plain file; fetch the tar anew")
                if member.name.endswith(".png"):
                    names.append(member.name)
                    positions.append((member.offset_data, member.size))
                    bar.update()
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path}: expected an uncompressed tar ({error})") from error
    if len(set(names)) != len(names):
        raise DataError(f"{path}: two members have the same name; fetch the tar anew")
    offsets, sizes = np.array(positions, np.int64).reshape(-1, 2).T
    return names, offsets, sizes


def _decode(stream: BinaryIO, size: int, shape: tuple[int, ...], title: str) -> np.ndarray:
    """uint8 (3, S, S)."""
    side = shape[-1]
    if size > _LARGEST:
        raise DataError(f"{title}: expected a PNG of {side} x {side}, found {size:,} bytes")
    try:
        with Image.open(io.BytesIO(stream.read(size)), formats=["PNG"]) as image:
            found = image.size
            if found == (side, side):
                return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except Exception as error:  # a damaged image can raise almost anything
        raise DataError(f"{title}: expected a PNG image ({error})") from error
    raise DataError(f"{title}: expected {side} x {side} pixels, found {found[0]} x {found[1]}")
