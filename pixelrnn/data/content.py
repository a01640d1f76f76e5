"""The identity of data that are read from files of the user's own."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pixelrnn.data.disk import explained
from pixelrnn.errors import DataError


def digest_of_files(root: Path, paths: Iterable[Path]) -> str:
    """A hash of the names and the content of files; it serves as `ImageSet.content_id`.

    Args:
        root: folder that the names are relative to, so that a folder may be moved.
        paths: the files that the set reads, in any order.

    Returns:
        16 hexadecimal digits.

    Raises:
        DataError: there is no file, or one cannot be read.
    """
    sha256 = hashlib.sha256()
    files = sorted(paths)
    if not files:
        raise DataError(f"{root}: no data files there")
    for path in files:
        with explained(path), open(path, "rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        sha256.update(f"{path.relative_to(root).as_posix()}\n{content}\n".encode())
    return sha256.hexdigest()[:16]
