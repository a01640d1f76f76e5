"""Converted data on disc: one .npy per part and a meta.json that is written last.

    <root>/raw/<file>              as published: fetched, or put there by hand
    <root>/<set>/<part>.npy        images: uint8 (N, C, H, W); labels: int64 (N,)
    <root>/<set>/meta.json         its presence says that all parts are whole
    <root>/<set>.lock

Many processes may start at once, on one machine or on a shared file system: one converts under the
lock, the others wait, look again and find it done. Where a file system only pretends to lock, two
may convert at the same time: names of unfinished files are unique to a process and every file
arrives by rename, so that a broken lock costs time and not data.
"""

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from pixelrnn.atomic import replacing
from pixelrnn.data.disk import explained, require_space, sweep
from pixelrnn.data.part_writer import Part, PartWriter
from pixelrnn.errors import DataError

log = logging.getLogger(__name__)

FORMAT = 1
"""Format of the converted files; data of another format are converted again."""

_BLOCK = 1 << 22


class Store:
    """The converted parts of one data set.

    Args:
        root: folder of all data.
        name: name of the set, and of its folder.
        parts: the arrays, by name.
        command: the command line that prepares, or repairs, this set.
    """

    def __init__(self, root: Path, name: str, parts: Mapping[str, Part], command: str) -> None:
        self.root = root
        self.command = command
        self.name = name
        self.parts = dict(parts)
        self.folder = root / name

    def ready(self) -> bool:
        """Whether all parts are there in full length. Reads meta.json and file sizes only."""
        try:
            meta = self._meta()
            return all(
                (self.folder / f"{part}.npy").stat().st_size == meta["parts"][part]["bytes"]
                for part in self.parts
            )
        except (OSError, DataError):
            return False

    def prepare(self, build: Callable[["Builder"], None], *, again: bool = False) -> None:
        """Convert, unless it is done. Safe to call from many processes.

        Args:
            build: writes every part through the `Builder` it is given.
            again: convert even if it is done; what is there is replaced part by part.

        Raises:
            DataError: raw files are missing or damaged, or the disc refuses.
        """
        if self.ready() and not again:
            return
        with explained(self.folder), self._locked():
            if self.ready() and not again:
                return
            if self._of_another_recipe():
                log.warning(
                    "%s: what lies in %s was converted by an earlier version; converting again",
                    self.name,
                    self.folder,
                )
            sweep(self.folder)
            if again:  # what is replaced was found damaged: it no longer counts as prepared
                (self.folder / "meta.json").unlink(missing_ok=True)
            builder = Builder(self)
            build(builder)
            builder.finish()

    def read(self, part: str, *, in_memory: bool) -> np.ndarray:
        """A part, of its shape and dtype.

        Args:
            part: one of `parts`.
            in_memory: read it whole and check its SHA-256; False: a read-only memory map, of which
                length, shape and dtype are checked.

        Raises:
            DataError: not prepared, or damaged.
        """
        entry = self._meta()["parts"][part]
        path = self.folder / f"{part}.npy"
        with explained(path):
            if path.stat().st_size != entry["bytes"]:
                raise self._damaged(path, f"{entry['bytes']:,} bytes", path.stat().st_size)
            try:
                array = np.load(path, mmap_mode=None if in_memory else "r", allow_pickle=False)
            except ValueError as error:
                raise self._damaged(path, "a NumPy file", error) from error
        shape, dtype = self.parts[part]
        if not array.flags.c_contiguous or array.dtype != dtype or array.shape != shape:
            raise self._damaged(path, f"{dtype} {shape}", f"{array.dtype} {array.shape}")
        if in_memory and digest(array) != entry["sha256"]:
            raise self._damaged(path, f"SHA-256 {entry['sha256']}", "another")
        return array

    def verify(self) -> None:
        """Compare every byte with the checksums of the conversion.

        Raises:
            DataError: not prepared, or damaged.
        """
        meta = self._meta()
        for part in self.parts:
            expected = meta["parts"][part]["sha256"]
            if digest(self.read(part, in_memory=False)) != expected:
                raise self._damaged(self.folder / f"{part}.npy", f"SHA-256 {expected}", "another")

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the values of every part."""
        meta = self._meta()
        return {part: meta["parts"][part]["sha256"] for part in self.parts}

    def recipe(self) -> dict[str, Any]:
        """What the converted files depend on; another recipe in meta.json means: convert again.

        A set whose labels were not kept by an earlier version has another recipe here.
        """
        shapes = {name: list(part.shape) for name, part in self.parts.items()}
        return {"format": FORMAT, "name": self.name, "shapes": shapes}

    def _of_another_recipe(self) -> bool:
        """Whether there is a finished conversion, but not the one that `recipe` describes."""
        try:
            meta = json.loads((self.folder / "meta.json").read_text(encoding="utf-8"))
            return bool(meta["recipe"] != self.recipe())
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _meta(self) -> dict[str, Any]:
        path = self.folder / "meta.json"
        remedy = f"run `{self.command}`"
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
            if meta["recipe"] == self.recipe() and set(meta["parts"]) == set(self._parts_of(meta)):
                return meta
        except FileNotFoundError:
            raise DataError(f"{self.name} is not prepared: no {path}; {remedy}") from None
        except (ValueError, KeyError, TypeError):
            pass
        raise DataError(f"{path}: expected the record of a finished conversion; {remedy}")

    def _parts_of(self, meta: Mapping[str, Any]) -> dict[str, Part]:
        """The parts that a finished conversion must have."""
        return self.parts

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{self.name}.lock")
        try:
            lock.acquire(timeout=0)
        except TimeoutError:
            log.info("%s: another process prepares it; waiting", self.name)
            lock.acquire()
        except NotImplementedError:
            log.warning("%s: this file system has no locks; going on without", self.root)
        try:
            yield
        finally:
            lock.release()  # does nothing where there is no lock

    def _damaged(self, path: Path, expected: str, found: object) -> DataError:
        return DataError(
            f"{path} is damaged: expected {expected}, found {found}; "
            f"run `{self.command}`, which converts it again"
        )


class Builder:
    """Writes the parts of a `Store`; what it has written counts only after `finish`.

    Attributes:
        about: plain values that are kept beside the parts, for `CountedStore.about`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.folder
        self.about: dict[str, Any] = {}
        self._written: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[PartWriter]:
        """Open a part for writing, in order.

        Raises:
            DataError: not enough disc space; or, at the end, another number of entries.
        """
        part = self.store.parts[name]
        path = self.folder / f"{name}.npy"
        self.folder.mkdir(parents=True, exist_ok=True)
        require_space(self.folder, part.nbytes)
        with replacing(path, "wb") as file:
            writer = PartWriter(file, part, self.folder, f"{self.store.name} {name}")
            yield writer
            writer.check_count()
        self._written[name] = {
            "bytes": path.stat().st_size,
            "sha256": writer.sha256.hexdigest(),
            "shape": list(part.shape),
            "dtype": part.dtype,
        }

    def finish(self) -> None:
        """Write meta.json: from now on the set is prepared."""
        missing = set(self.store.parts) - set(self._written)
        if missing:
            raise DataError(f"{self.store.name}: the conversion left out {sorted(missing)}")
        meta = {"recipe": self.store.recipe(), "parts": self._written, "about": self.about}
        with replacing(self.folder / "meta.json") as file:
            file.write(json.dumps(meta, indent=1) + "\n")


def digest(array: np.ndarray) -> str:
    """SHA-256 of the values, without copying a memory map."""
    sha256 = hashlib.sha256()
    flat = array.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        sha256.update(np.ascontiguousarray(flat[start : start + _BLOCK]).data)
    return sha256.hexdigest()
