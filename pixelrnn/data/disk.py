"""What may go wrong on a disc: leftovers are removed, space is checked, errors are explained."""

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from pixelrnn import atomic
from pixelrnn.errors import DataError

_UNFINISHED = re.compile(r"\..+\.(?P<host>[^.]+)\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp")
_FOREIGN_AGE = 24 * 3600  # seconds until another machine's unfinished file counts as abandoned


def sweep(folder: Path, name: str = "*", alone: bool = False) -> None:
    """Remove unfinished files and folders that a process left which is gone.

    Args:
        folder: where to look.
        name: name of the finished file; all by default.
        alone: nobody else writes there, so that whatever is unfinished is left over. In containers
            a process that is gone often had the number of the present one.
    """
    for path in left_over(folder, name, alone):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def left_over(folder: Path, name: str = "*", alone: bool = False) -> Iterator[Path]:
    """Unfinished files and folders that a process left which is gone; arguments as of `sweep`."""
    for path in folder.glob(f".{name}.*.tmp"):
        match = _UNFINISHED.fullmatch(path.name)
        if match is None:
            continue
        with contextlib.suppress(OSError):
            if alone:
                abandoned = True
            elif match["host"] == atomic.host():
                abandoned = not _alive(int(match["pid"]))
            else:
                abandoned = time.time() - path.stat().st_mtime > _FOREIGN_AGE
            if abandoned:
                yield path


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
