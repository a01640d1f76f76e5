"""Files that are never half there: written aside, synced, renamed; and leftovers swept away."""

import contextlib
import errno
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pixelrnn.errors import DataError

_FOREIGN_AGE = 24 * 3600  # seconds until another machine's unfinished file counts as abandoned


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only when it is whole and on the disc."""
    unfinished = unfinished_name(path)
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def unfinished_name(path: Path) -> Path:
    """A name beside `path` that no other process uses: .<name>.<host>.<pid>.<random>.tmp."""
    host = socket.gethostname().replace(".", "-")
    return path.with_name(f".{path.name}.{host}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def sweep(folder: Path, name: str = "*") -> None:
    """Remove unfinished files and folders whose process is gone.

    Args:
        folder: where to look.
        name: of the finished file; all by default.
    """
    for path in folder.glob(f".{name}.*.tmp"):
        host, pid = path.name.split(".")[-4:-2]
        with contextlib.suppress(OSError):
            if host == socket.gethostname().replace(".", "-"):
                abandoned = not (pid.isdigit() and _alive(int(pid)))
            else:
                abandoned = time.time() - path.stat().st_mtime > _FOREIGN_AGE
            if abandoned:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def sync_folder(folder: Path) -> None:
    """Put renames in this folder on the disc, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def require_space(folder: Path, needed: int) -> None:
    """Refuse to start what the disc cannot hold.

    Raises:
        DataError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder}: {needed:,} bytes are needed, {free:,} are free; free some space or choose "
            "another folder with PIXELRNN_DATA or paths.data"
        )


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's refusals into a `DataError` that names the file and a remedy."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise DataError(f"{where}: {error.strerror or error}; {_remedy(error)}") from error


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space or choose another folder with PIXELRNN_DATA or paths.data"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "allow reading and writing there, or choose another folder with PIXELRNN_DATA"
    return "check the disc, or choose another folder with PIXELRNN_DATA or paths.data"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
