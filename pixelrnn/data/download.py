"""Raw files: found on disc or fetched, and never handed on before length and SHA-256 agree."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from pixelrnn.atomic import sync_folder
from pixelrnn.data import gzipped, transfer
from pixelrnn.data.disk import explained, require_space, sweep
from pixelrnn.data.progress import progress
from pixelrnn.data.registry import RawFile, Source
from pixelrnn.errors import DataError

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
        fault = _fault(path, file) if path.exists() else "is missing"
        if fault and path.exists() and vouch and vouch(path):
            fault = None
        if fault and (other := _packed_otherwise(path, file)) is not None:
            return other
        if fault is None:
            sweep(path.parent, path.name)  # a process may have been killed with the file in place
            return path
        if not file.urls:
            by_hand = source.by_hand.format(name=path.name, path=path)
            raise DataError(f"{path} {fault}. {by_hand}")
        path.parent.mkdir(parents=True, exist_ok=True)
        require_space(path.parent, file.bytes)
        fetched = _fetch(file, path, fault)
        sweep(path.parent, path.name)
        return fetched


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


def _packed_otherwise(path: Path, file: RawFile) -> Path | None:
    """The same content, packed anew or unpacked, under this name or another one."""
    if not file.unpacked_sha256:
        return None
    names = [path.name, *gzipped.other_names(path.name)]
    there = (path.with_name(name) for name in names)
    return next(
        (one for one in there if one.is_file() and gzipped.holds(one, file.unpacked_sha256)), None
    )


def require_those_by_hand(source: Source, root: Path, command: str, hint: str) -> None:
    """Look for the files that only the user can put there, before anything is written.

    Args:
        source: a set.
        root: folder of all data.
        command: the command line that prepares the set.
        hint: what else to say, such as which other set may be meant.

    Raises:
        DataError: names all that are missing, their lengths, where they go and how to get them.
    """
    files = dict.fromkeys(file for group in source.files.values() for file in group)
    missing = [f for f in files if not f.urls and not (root / "raw" / f.name).exists()]
    if not missing or not source.by_hand:
        return
    paths = [root / "raw" / file.name for file in missing]
    lines = [
        f"{path} is missing: {file.bytes:,} bytes"
        for file, path in zip(missing, paths, strict=True)
    ]
    for file, path in zip(missing, paths, strict=True):
        text = source.by_hand.format(name=file.name, path=path).strip()
        lines += [line for line in text.splitlines() if line not in lines]
    lines += [f"Then `{command}` checks and converts what is there", hint]
    raise DataError("\n".join(line for line in lines if line))


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
    partial = transfer.Partial(path)
    failures: dict[str, str] = {}
    final: set[str] = set()
    kept: Path | None = None
    try:
        for url in file.urls * _ROUNDS:
            if url in final:
                continue
            try:
                _try(url, file, partial)
            except transfer.WrongContentError as error:
                failures[url] = str(error)
                final.add(url)
                partial.drop()
            except transfer.BrokenLinkError as error:
                failures[url] = str(error)
            else:
                os.replace(partial.path, path)
                sync_folder(path.parent)
                return path
        kept = partial.keep()
    finally:
        partial.path.unlink(missing_ok=True)
    tried = "; ".join(f"{url}: {why}" for url, why in failures.items())
    there = f" What came is kept in {kept}: the same command asks for the rest." if kept else ""
    raise DataError(
        f"{path} {fault}, and it could not be fetched ({tried}).{there} Check the network and try "
        f"again, or fetch it by other means: {file.bytes:,} bytes, SHA-256 {file.sha256}"
    )


def _try(url: str, file: RawFile, partial: transfer.Partial) -> None:
    """Fetch from one mirror, as long as every try brings something.

    Raises:
        BrokenLinkError, WrongContentError, OSError: as `transfer.fetch`, or another SHA-256 came.
    """
    while True:
        before = partial.size
        try:
            transfer.fetch(url, file, partial)
        except transfer.BrokenLinkError:
            if partial.size > before:
                continue
            raise
        with open(partial.path, "rb") as stream:
            os.fsync(stream.fileno())
        if checksum(partial.path, "sha256") == file.sha256:
            return
        alone = partial.sources == {url}
        partial.drop()
        if alone:  # else one of several sources sent the wrong bytes, or an earlier process did
            raise transfer.WrongContentError(f"sent a file of another SHA-256 than {file.sha256}")
