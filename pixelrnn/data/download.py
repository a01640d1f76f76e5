"""Raw files: found on disc or fetched, and never handed on before length and SHA-256 agree."""

import functools
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pooch
from tqdm import tqdm

from pixelrnn.atomic import sync_folder, unfinished_name
from pixelrnn.data.disk import explained, require_space, sweep
from pixelrnn.data.progress import progress
from pixelrnn.data.registry import RawFile, Source
from pixelrnn.errors import DataError

TIMEOUT = 30.0
"""Seconds in which a server has to answer, and then to send some more."""

_ROUNDS = 2  # over all mirrors; what failed for good in the first is left out of the second
_BLOCK = 1 << 22


def raw_file(
    source: Source, file: RawFile, root: Path, vouch: Callable[[Path], bool] | None = None
) -> Path:
    """The path of a verified raw file; it is fetched if it is not there.

    A damaged file that can be fetched is replaced, once its successor is whole; one that was put
    there by hand is left alone.

    Args:
        source: the set that the file belongs to.
        file: its entry in the table.
        root: folder of all data.
        vouch: may accept a file of another length or checksum by what it holds.

    Raises:
        DataError: it is neither there nor to be had, or it is damaged.
    """
    path = root / "raw" / file.name
    with explained(path):
        sweep(path.parent, path.name)  # a process may have been killed with the file just in place
        fault = _fault(path, file) if path.exists() else "is missing"
        if fault and path.exists() and vouch and vouch(path):
            fault = None
        if fault is None:
            return path
        if not file.urls:
            by_hand = source.by_hand.format(name=path.name, path=path)
            raise DataError(f"{path} {fault}. {by_hand}")
        path.parent.mkdir(parents=True, exist_ok=True)
        require_space(path.parent, file.bytes)
        return _fetch(file, path, fault)


def _fault(path: Path, file: RawFile) -> str | None:
    """What is wrong with a file, or None."""
    size = path.stat().st_size
    if size != file.bytes:
        hint = " (cut short?)" if size < file.bytes else ""
        return f"is damaged: expected {file.bytes:,} bytes, found {size:,}{hint}"
    found = checksum(path, "sha256")
    if found != file.sha256:
        return f"is damaged: expected SHA-256 {file.sha256}, found {found}"
    return None


def checksum(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file, with a progress bar if it is large."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream, progress(path.stat().st_size, f"check {path.name}") as bar:
        while block := stream.read(_BLOCK):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()


def _fetch(file: RawFile, path: Path, fault: str) -> Path:
    """Try the mirrors in order; the file gets its name when it is whole and on the disc."""
    pooch.get_logger().setLevel("WARNING")
    folder = unfinished_name(path)
    download = functools.partial(_download, file)
    failures: dict[str, str] = {}
    final: set[str] = set()
    try:
        folder.mkdir()
        for url in file.urls * _ROUNDS:
            if url in final:
                continue
            try:
                fetched = pooch.retrieve(
                    url, f"sha256:{file.sha256}", file.name, folder, downloader=download
                )
            except _WrongContentError as error:
                failures[url] = str(error)
                final.add(url)
            except ValueError:  # pooch: another checksum
                failures[url] = f"sent a file of another SHA-256 than {file.sha256}"
                final.add(url)
            except OSError as error:
                # the errors of requests have no number; those of the disc have one
                if error.errno is not None and not isinstance(error, ConnectionError):
                    raise
                failures[url] = _reason(error)
            else:
                with open(fetched, "rb") as stream:
                    os.fsync(stream.fileno())
                os.replace(fetched, path)
                sync_folder(path.parent)
                return path
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tried = "; ".join(f"{url}: {why}" for url, why in failures.items())
    raise DataError(
        f"{path} {fault}, and it could not be fetched ({tried}). Check the network and try again, "
        f"or fetch it by other means: {file.bytes:,} bytes, SHA-256 {file.sha256}"
    )


def _reason(error: OSError) -> str:
    """One line; requests wraps the error of urllib3, which says more in fewer words."""
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return (str(inner or error).splitlines() or [type(error).__name__])[0][:200]


class _WrongContentError(Exception):
    """A server sends something else; asking again will not help."""


def _download(file: RawFile, url: str, output_file: str, pooch_: Any) -> None:
    """What pooch calls: HTTP with a timeout, progress, and a look at what comes."""
    fetch = pooch.HTTPDownloader(
        chunk_size=1 << 16,
        timeout=TIMEOUT,
        # a server that unpacks .gz on the way would spoil the checksum
        headers={"Accept-Encoding": "identity"},
    )
    with progress(file.bytes, f"fetch {file.name}") as bar, open(output_file, "wb") as stream:
        guard = _Guard(stream, file, bar)
        fetch(url, guard, pooch_)
    if guard.received != file.bytes:
        raise ConnectionError(f"sent {guard.received:,} of {file.bytes:,} bytes")


class _Guard:
    """A file that refuses web pages and more bytes than announced."""

    def __init__(self, stream: BinaryIO, file: RawFile, bar: tqdm) -> None:
        self.stream = stream
        self.size = file.bytes
        self.bar = bar
        self.received = 0

    def write(self, chunk: bytes) -> None:
        if self.received == 0 and chunk.lstrip()[:5].lower() in (b"<html", b"<!doc"):
            raise _WrongContentError("sent a web page (a login or an error?), not the file")
        self.received += len(chunk)
        if self.received > self.size:
            raise _WrongContentError(f"sends more than the expected {self.size:,} bytes")
        self.stream.write(chunk)
        self.bar.update(len(chunk))

    def flush(self) -> None:
        """Once per chunk is too often; closing flushes."""
