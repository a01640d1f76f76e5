"""Files that are published with gzip, and lie about packed anew, unpacked, or by another name."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import BinaryIO, cast

_MAGIC = b"\x1f\x8b"
_BLOCK = 1 << 20
_LONGEST = 1 << 28
"""Bytes that are unpacked at most: a small file can stand for a very large one."""

UNREADABLE = (gzip.BadGzipFile, EOFError, zlib.error)
"""What reading raises if a file is damaged."""


def opened(path: Path) -> BinaryIO:
    """Open a file for reading; one that is packed is unpacked, whatever its name says."""
    with open(path, "rb") as file:
        packed = file.read(len(_MAGIC)) == _MAGIC
    return cast(BinaryIO, gzip.open(path) if packed else open(path, "rb"))


def holds(path: Path, sha256: str) -> bool:
    """Whether the content of a file, unpacked if it is packed, has this checksum."""
    digest, length = hashlib.sha256(), 0
    try:
        with opened(path) as stream:
            while block := stream.read(_BLOCK):
                length += len(block)
                if length > _LONGEST:
                    return False
                digest.update(block)
    except UNREADABLE:
        return False
    return digest.hexdigest() == sha256


def other_names(name: str) -> list[str]:
    """Names under which a file of MNIST lies about.

    Args:
        name: as published, such as train-images-idx3-ubyte.gz.
    """
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")  # as Windows names what it unpacks
    stem = plain.partition("-idx")[0]
    return [plain, f"{plain}.idx", dotted, f"{dotted}.gz", f"{stem}.idx", f"{stem}.idx.gz"]
