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
        with naming(path, temporary):
            with open(temporary, mode, encoding=encoding, newline=newline) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextlib.contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an error of the file system that names no file, or a temporary one, name `path`."""
    try:
        yield
    except OSError as error:
        if error.filename2 is None and error.filename in (None, temporary and str(temporary)):
            error.filename = str(path)
        raise


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
