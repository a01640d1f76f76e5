"""One folder, archive or file of arrays as a source of images: what it holds, and their pixels.

Axes: `N` images, `H W` picture, `C` channels.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pixelrnn.arguments import Split
from pixelrnn.data.disk import explained
from pixelrnn.data.own import arrays, files, inventory, pictures
from pixelrnn.data.own.bad import Bad, shown
from pixelrnn.data.own.shares import Side
from pixelrnn.errors import DataError

PARTS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}
PARTS |= {"valid": "val", "validation": "val"}
"""Names of folders that say a split -> the split."""


class Entry(NamedTuple):
    """What a source holds under one name: a picture, or a whole array.

    Attributes:
        name: within the source.
        part: the split that its place says; "" if it says none.
        label: name of its class; "" if it has none.
        shape: (N, H, W, C) as it lies there.
        problem: why it cannot be used; "" if nothing is known against it.
    """

    name: str
    part: Side
    label: str
    shape: tuple[int, int, int, int]
    problem: str


class Task(NamedTuple):
    """A picture that is to be decoded, as bytes, or an image of an array, uint8 (H, W, C)."""

    entry: Entry
    name: str
    label: str
    content: bytes | np.ndarray | Bad


class Source(ABC):
    """Base of the two kinds. Entries are in the order of their names.

    Attributes:
        path: where it lies.
        entries: what it holds.
        passed_over: how many files are no pictures by their names.
        digest: a hash of the content.
        note: what was not read as its names suggest; "" if there is nothing to say.
    """

    path: Path
    entries: list[Entry]
    passed_over: int
    digest: str
    note: str = ""

    def __init__(self, seen: inventory.Inventory, root: Path) -> None:
        self.path, self.passed_over, self.digest = seen.path, seen.passed_over, seen.digest
        self._inventory, self._root = seen, root

    @abstractmethod
    def labels_of(self, entry: Entry) -> set[str]:
        """The classes of what lies under one name; empty if there are none."""

    @abstractmethod
    def tasks(self) -> Iterator[Task]:
        """Every image, in the order in which they are read fastest.

        Raises:
            DataError: it was changed since it was looked at.
        """

    def remember(self) -> None:
        """Keep what was seen for the next command; see `inventory`."""
        self._inventory.remember(self._root)

    def _changed(self, name: str) -> DataError:
        return DataError(f"{self.path}: {shown(name)} was changed while it was read; start again")


class PictureSource(Source):
    """A folder or an archive of pictures.

    Args:
        seen: what lies there.
        root: folder of all data, which is passed over.
        parts: whether top folders named after splits say a split.
        classes: whether folders are classes: the top ones, or those below the splits. A folder
            that holds all others, as in an archive of a whole folder, is not a top one.
    """

    def __init__(
        self, seen: inventory.Inventory, root: Path, *, parts: bool, classes: bool
    ) -> None:
        super().__init__(seen, root)
        outer = _around([look.name for look in seen.looks])
        names = [look.name.removeprefix(outer) for look in seen.looks]
        found, beside = _split_folders(names) if parts else ([], [])
        split = bool(found) and not beside
        if beside:
            self.note = (
                f"the folders {', '.join(found)} are not taken as splits, since "
                f"{shown(beside[0])} lies beside them"
            )
        if outer and (split or classes):  # not the conversion of versions that looked no deeper
            self.digest = hashlib.sha256(f"below {outer}: {self.digest}".encode()).hexdigest()
        self.entries = []
        for look in seen.looks:
            inner = look.name.removeprefix(outer)
            top, _, rest = inner.partition("/")
            part: Side = PARTS[top] if split else ""
            inner = rest if split else inner
            label, _, below = inner.partition("/")
            label = label if classes and below else ""
            problem = look.problem or ("in no class folder" if classes and not below else "")
            shape = (1, look.height, look.width, look.colors)
            self.entries.append(Entry(look.name, part, label, shape, problem))

    def labels_of(self, entry: Entry) -> set[str]:
        """See `Source.labels_of`."""
        return {entry.label} - {""}

    def tasks(self) -> Iterator[Task]:
        """See `Source.tasks`; in the order in which they lie, so that a packed tar is read once."""
        expected = {look.name: look.sha256 for look in self._inventory.looks}
        entries = {entry.name: entry for entry in self.entries}
        for unit in files.units(self.path, without=self._root):
            for name, content in files.contents(self.path, unit):
                if content is None:
                    continue
                if name not in entries:
                    raise self._changed(name)
                entry = entries.pop(name)
                known = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else ""
                if known != expected[name]:
                    raise self._changed(name)
                yield Task(entry, name, entry.label, content)
        if entries:
            raise self._changed(next(iter(entries)))


def _around(names: list[str]) -> str:
    """The folders that hold all others, such as "pets/" in an archive of the folder pets.

    A folder that holds a file itself is not one of them.
    """
    outer = ""
    while True:
        tops = {name.removeprefix(outer).split("/", 1)[0] for name in names}
        top = f"{outer}{next(iter(tops), '')}/"
        if len(tops) != 1 or not all("/" in name.removeprefix(top) for name in names):
            return outer
        outer = top


def _split_folders(names: list[str]) -> tuple[list[str], list[str]]:
    """Top folders that are named after splits, and what lies beside them.

    There are none unless training and another split are among them.
    """
    tops = {name.partition("/")[0]: "/" in name for name in names}
    found = sorted(top for top in tops if tops[top] and top in PARTS)
    if "train" not in found or len(found) < 2:
        return [], []
    return found, sorted(tops.keys() - set(found))


class ArraySource(Source):
    """A file of arrays.

    Args:
        seen: its checksum.
        root: folder of all data.
        layout: the axes of the arrays; None: seen by their lengths.
        part: the split that all of it is for; "": as the names of its arrays say.
        classes: whether labels are taken.
    """

    def __init__(
        self,
        seen: inventory.Inventory,
        root: Path,
        *,
        layout: arrays.Layout | None,
        part: Side,
        classes: bool,
    ) -> None:
        super().__init__(seen, root)
        found = arrays.found(self.path, layout)
        if part:
            found = [one for one in found if one.part in ("", part)]
            if not found:
                raise DataError(f"{self.path}: holds no array that is called {part}")
        self.arrays = {one.name: one for one in found}
        self.labels = {one.name: arrays.labels(self.path, one) for one in found if classes}
        self.entries = [
            Entry(one.name, "" if part else one.part, "", one.shape, "") for one in found
        ]

    def labels_of(self, entry: Entry) -> set[str]:
        """See `Source.labels_of`."""
        return {str(label) for label in np.unique(self.labels.get(entry.name, []))}

    def tasks(self) -> Iterator[Task]:
        """See `Source.tasks`."""
        for entry in self.entries:
            array = self.arrays[entry.name]
            labels = self.labels.get(entry.name)
            for index, image in enumerate(arrays.images(self.path, array)):
                label = "" if labels is None else str(labels[index])
                # digits of one length, so that the order of the names is that of the array
                yield Task(entry, f"{entry.name or self.path.name}[{index:09}]", label, image)
        if self._inventory.file_changed():
            raise self._changed(self.path.name)


def opened(
    path: Path,
    root: Path,
    *,
    part: Side = "",
    layout: arrays.Layout | None = None,
    classes: str | None = None,
) -> Source:
    """Look at what lies at a path.

    Args:
        path: a folder, an archive or a file of arrays.
        root: folder of all data, where an index may lie; it is passed over.
        part: the split that all of it is for; "": as names of folders and arrays say.
        layout: of arrays.
        classes: "folders", "labels" or None.

    Raises:
        DataError: nothing that can be read lies there.
    """
    key = f"data.{part or 'path'}={path}"
    with explained(path):
        if not path.exists():
            raise DataError(f"{key}: no such folder or file")
    if not (path.is_dir() or files.is_archive(path) or arrays.is_array(path)):
        raise DataError(
            f"{key}: expected a folder, or a file .npy, .npz, .zip or .tar (also .tar.gz, "
            ".tar.bz2, .tar.xz)"
        )
    if layout is not None and not arrays.is_array(path):
        raise DataError(f"{key}: data.layout={layout} is for arrays; leave it out")
    wanted = "labels" if arrays.is_array(path) else "folders"
    if classes not in (None, wanted):
        raise DataError(f"{key}: data.classes={classes} needs other files; set {wanted} or null")
    seen = inventory.look_at(path, root)
    if arrays.is_array(path):
        return ArraySource(seen, root, layout=layout, part=part, classes=bool(classes))
    source = PictureSource(seen, root, parts=not part, classes=bool(classes))
    if not source.entries:
        others = f"; {source.passed_over:,} other files lie there" if source.passed_over else ""
        raise DataError(f"{path}: no pictures there (PNG, JPEG, WebP or GIF){others}")
    return source


def channels_as(image: np.ndarray, colors: int) -> np.ndarray:
    """An image in grey, or in three equal colours, if it is not so yet.

    Args:
        image: uint8 (H, W, C); C is `colors`, or one is 1 and the other 3.
        colors: of the result.
    """
    if image.shape[2] == colors:
        return image
    return pictures.grey(image) if colors == 1 else np.repeat(image, 3, axis=2)
