"""One file over HTTP: what came before a link broke is kept, and the rest is asked for alone."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import requests

from pixelrnn.atomic import unfinished_name
from pixelrnn.data.disk import left_over
from pixelrnn.data.progress import progress
from pixelrnn.data.registry import RawFile

TIMEOUT = 30.0
"""Seconds in which a server has to answer, and then to send some more."""

_CHUNK = 1 << 14  # bytes; what came of a chunk is lost when a link breaks


class BrokenLinkError(Exception):
    """A server does not answer, or stopped sending; asking again may help."""


class WrongContentError(Exception):
    """A server sends something else; asking again will not help."""


class Partial:
    """The beginning of a file, on disc.

    It survives the process: the next fetch of the same file goes on where this one ended.

    Args:
        path: where the whole file will lie.

    Attributes:
        path: where the beginning lies; no other process uses this name.
        sources: the addresses that its bytes came from; "before" for an earlier process.
    """

    def __init__(self, path: Path) -> None:
        self._kept = path.with_name(f"{path.name}.part")
        self.path = unfinished_name(path)
        self.sources: set[str] = set()
        beginnings = [self._kept, *left_over(path.parent, path.name)]
        for beginning in sorted(filter(Path.is_file, beginnings), key=_size, reverse=True):
            with contextlib.suppress(OSError):  # another process was faster, and has it
                os.rename(beginning, self.path)
                self.sources.add("before")
                break

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return _size(self.path) if self.path.exists() else 0

    def drop(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
        self.sources.clear()

    def keep(self) -> Path | None:
        """Leave what is there for the next fetch; returns where, None if there is nothing."""
        if not self.size:
            self.path.unlink(missing_ok=True)
            return None
        os.replace(self.path, self._kept)
        return self._kept


def fetch(url: str, file: RawFile, partial: Partial) -> None:
    """Fetch what is missing of a file, or all if the server cannot send a part.

    Args:
        url: where from.
        file: its name and length.
        partial: where to.

    Raises:
        BrokenLinkError: not all came; what came is in `partial`.
        WrongContentError: it sends a web page, or more bytes than the file has.
        OSError: the disc refuses.
    """
    if partial.size > file.bytes:
        partial.drop()
    begin = partial.size
    # a server that unpacks .gz on the way would spoil the checksum
    headers = {"Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    with _explained(url, file, partial):
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        with response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                partial.drop()
                raise BrokenLinkError("has another length of this file")
            response.raise_for_status()
            if begin and not _goes_on(response, begin):
                partial.drop()
            partial.sources.add(url)
            _receive(response, file, partial)
    if partial.size != file.bytes:
        raise BrokenLinkError(f"sent {partial.size:,} of {file.bytes:,} bytes")


def _goes_on(response: requests.Response, begin: int) -> bool:
    """Whether a server sends the part that was asked for, and not all."""
    range_sent = response.headers.get("Content-Range", "")
    partial = response.status_code == requests.codes.partial_content
    return partial and range_sent.startswith(f"bytes {begin}-")


def _receive(response: requests.Response, file: RawFile, partial: Partial) -> None:
    received = partial.size
    with (
        open(partial.path, "ab") as stream,
        progress(file.bytes, f"fetch {file.name}", done=received) as bar,
    ):
        for chunk in response.iter_content(_CHUNK):
            if received == 0 and chunk.lstrip()[:5].lower() in (b"<html", b"<!doc"):
                raise WrongContentError("sent a web page (a login or an error?), not the file")
            received += len(chunk)
            if received > file.bytes:
                raise WrongContentError(f"sends more than the expected {file.bytes:,} bytes")
            write(stream.fileno(), chunk)
            bar.update(len(chunk))


def write(descriptor: int, chunk: bytes) -> None:
    """Write all of a chunk, without a buffer: what came is on disc when a link breaks."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


@contextlib.contextmanager
def _explained(url: str, file: RawFile, partial: Partial) -> Iterator[None]:
    try:
        yield
    except requests.RequestException as error:
        reason = _reason(error)
        if isinstance(error, requests.Timeout) or "timed out" in reason.lower():
            reason = f"timed out: nothing came for {TIMEOUT:g} s"
        if url in partial.sources:
            reason = f"sent {partial.size:,} of {file.bytes:,} bytes, then: {reason}"
        raise BrokenLinkError(reason) from error


def _reason(error: Exception) -> str:
    """One line; requests wraps the error of urllib3, which says more in fewer words."""
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return (str(inner or error).splitlines() or [type(error).__name__])[0][:200]


def _size(path: Path) -> int:
    return path.stat().st_size
