"""What lies at a path, looked at once: the checksum of every file, and what its header says.

To read all files whenever a command starts would take long. So what was seen is remembered, in this
process and in `<root>/index/`, and a file whose length and time of change (`mtime`, nanoseconds)
are as before counts as unchanged. A file that was changed within two seconds of being looked at is
looked at again: it may be changed once more without getting another time. Whoever changes a file
and sets its time back deceives the index; deleting `<root>/index/` makes everything be read anew.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import PIL

from pixelrnn import cores
from pixelrnn.atomic import replacing
from pixelrnn.data.disk import explained
from pixelrnn.data.own import arrays, files, pictures
from pixelrnn.data.own.bad import Bad
from pixelrnn.data.progress import progress

_FORMAT = 1
_SETTLED = 2_000_000_000  # nanoseconds
_THREADS = min(8, cores.available())


class Look(NamedTuple):
    """What is known of one picture file.

    Attributes:
        name: its path within the folder or archive, with /.
        sha256: of its bytes, 64 hexadecimal digits; "" if they could not be read.
        height: rows when upright; 0 if there is a problem.
        width: columns.
        colors: 1 or 3.
        problem: why it cannot be used; "" if nothing is known against it.
    """

    name: str
    sha256: str
    height: int
    width: int
    colors: int
    problem: str


class _Seen(NamedTuple):
    """A unit as it was when it was looked at."""

    size: int
    mtime_ns: int
    passed_over: int
    looks: tuple[Look, ...]


@dataclass
class Inventory:
    """The pictures at a path, or the one file of arrays.

    Attributes:
        path: a folder, an archive or a file of arrays.
        looks: by name; of a file of arrays a single one, which holds nothing but its checksum.
        passed_over: how many files are no pictures by their names.
        units: every file there, as it was listed before any was read.
    """

    path: Path
    looks: tuple[Look, ...]
    passed_over: int
    units: tuple[files.Unit, ...] = field(repr=False)
    _seen: dict[str, _Seen] = field(repr=False)

    @property
    def digest(self) -> str:
        """A hash of all names and contents: that of a folder is that of an archive of it."""
        sha256 = hashlib.sha256()
        for look in self.looks:
            name = look.name.encode("utf-8", "surrogateescape")
            sha256.update(b"%s\n%s\n" % (name, look.sha256.encode()))
        return sha256.hexdigest()

    def file_changed(self) -> bool:
        """Whether a single file, such as one of arrays, was changed since its checksum was taken.

        It is compared with what was listed before it was read, so that a change while it was read
        is seen, too.

        Raises:
            DataError: it is gone.
        """
        return tuple(files.units(self.path)) != self.units

    def remember(self, root: Path) -> None:
        """Write what was seen to the disc, unless it stands there."""
        file = _index(self.path, root)
        if _read(file) == self._seen:
            return
        content = {"format": _FORMAT, "pillow": PIL.__version__, "path": str(self.path.absolute())}
        with explained(file), replacing(file) as stream:
            stream.write(json.dumps(content | {"units": self._seen}))


_REMEMBERED: dict[Path, dict[str, _Seen]] = {}


def look_at(path: Path, root: Path) -> Inventory:
    """Look at all that lies at a path, but what is remembered.

    Args:
        path: a folder, an archive or a file of arrays.
        root: folder of all data; nothing is written there.

    Raises:
        DataError: there is nothing, it may not be read, or the archive is damaged.
    """
    units = tuple(files.units(path, without=root))
    known = _REMEMBERED.setdefault(path.absolute(), {})
    for name, one in _read(_index(path, root)).items():
        known.setdefault(name, one)
    now = time.time_ns()
    fresh = [unit for unit in units if not _same(known.get(unit.name), unit)]
    seen = {unit.name: known[unit.name] for unit in units if _same(known.get(unit.name), unit)}
    seen |= _looked(path, fresh)
    _REMEMBERED[path.absolute()] = {
        name: one for name, one in seen.items() if one.mtime_ns + _SETTLED < now
    }
    looks = sorted(look for one in seen.values() for look in one.looks)
    kept = _REMEMBERED[path.absolute()]
    passed_over = sum(one.passed_over for one in seen.values())
    return Inventory(path, tuple(looks), passed_over, units, kept)


def forget() -> None:
    """Forget what this process remembers; for tests."""
    _REMEMBERED.clear()


def _same(seen: _Seen | None, unit: files.Unit) -> bool:
    return seen is not None and (seen.size, seen.mtime_ns) == (unit.size, unit.mtime_ns)


def _looked(path: Path, units: list[files.Unit]) -> dict[str, _Seen]:
    """Look at files anew, several at a time: reading, hashing and Pillow let others work."""
    with (
        pictures.quiet(),
        ThreadPoolExecutor(_THREADS) as pool,
        progress(len(units), f"look at {path.name}", "files") as bar,
    ):
        seen = {}
        for unit, one in zip(units, pool.map(lambda unit: _seen(path, unit), units), strict=True):
            seen[unit.name] = one
            bar.update()
        return seen


def _seen(path: Path, unit: files.Unit) -> _Seen:
    if not unit.name and arrays.is_array(path):
        with explained(path), open(path, "rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return _Seen(unit.size, unit.mtime_ns, 0, (Look("", sha256, 0, 0, 0, ""),))
    found = list(_looks(files.contents(path, unit)))
    looks = tuple(look for look in found if look is not None)
    return _Seen(unit.size, unit.mtime_ns, len(found) - len(looks), looks)


def _looks(found: Iterable[files.Found]) -> Iterable[Look | None]:
    for name, content in found:
        if content is None:
            yield None
        elif isinstance(content, Bad):
            yield Look(name, "", 0, 0, 0, str(content))
        else:
            sha256 = hashlib.sha256(content).hexdigest()
            try:
                yield Look(name, sha256, *pictures.header(content), "")
            except Bad as bad:
                yield Look(name, sha256, 0, 0, 0, str(bad))


def _index(path: Path, root: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return root / "index" / f"{key}.json"


def _read(file: Path) -> dict[str, _Seen]:
    """What an index holds; nothing if it is missing, damaged, or of another Pillow."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        if (content["format"], content["pillow"]) != (_FORMAT, PIL.__version__):
            return {}
        return {
            name: _Seen(size, mtime_ns, passed_over, tuple(Look(*look) for look in looks))
            for name, (size, mtime_ns, passed_over, looks) in content["units"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
