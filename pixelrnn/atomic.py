"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`, which takes its place when the block ends well.

    Temporary and final file lie in one folder, so the replacement is one rename on one file
    system; both are flushed to disc. If the block fails, `path` stays as it was, and the error of a
    file system names `path`.

    Args:
        path: what to write.
        mode: "w" (UTF-8, no newline translation) or "wb".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = unfinished_name(path)
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    try:
        with open(temporary, mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary)) and error.filename2 is None:
            error.filename = str(path)  # nobody knows our temporary file by its name
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def unfinished_name(path: Path) -> Path:
    """A name beside `path` that no other process uses: .<name>.<host>.<pid>.<random>.tmp."""
    return path.with_name(f".{path.name}.{host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def host() -> str:
    """The name of this machine, without dots."""
    return socket.gethostname().replace(".", "-")


def sync_folder(folder: Path) -> None:
    """Put renames in this folder on the disc, where the system can."""
    with contextlib.suppress(OSError):  # some network file systems refuse
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
