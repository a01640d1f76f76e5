"""From pictures to the arrays of the splits: decode, fit, deal, write.

All images go into one temporary file first, since only then it is known how many there are, and
which of them are equal. Axes: `N` images, `H W` picture, `h w` image, `C` channels.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from pixelrnn.arguments import Split
from pixelrnn.atomic import replacing, unfinished_name
from pixelrnn.data.converted import Builder
from pixelrnn.data.own import bad, pictures, shares
from pixelrnn.data.own.bad import Bad
from pixelrnn.data.own.fitting import Fitting
from pixelrnn.data.own.shares import Side
from pixelrnn.data.own.sources import Entry, Source, Task, channels_as
from pixelrnn.data.part_writer import Part
from pixelrnn.data.progress import progress
from pixelrnn.errors import DataError

_BLOCK = 1024  # images that are written at once
_THREADS = min(8, os.cpu_count() or 1)
_BATCH = 4 * _THREADS  # pictures that are in memory at once


@dataclass(frozen=True)
class Conversion:
    """How the pictures of some sources become the images of the splits.

    Attributes:
        sources: what there is; the key is the split that all of it is for, or "".
        fitting: how a picture becomes images of one size.
        colors: of an image.
        background: red, green and blue behind transparent pixels.
        shares: of the splits that are dealt by the hash of a picture: those of "val" and "test".
        class_names: the classes, in the order of their labels; empty if there are none.
        skip_bad: whether pictures that turn out damaged are left out, or refused.
    """

    sources: Mapping[Side, Source]
    fitting: Fitting
    colors: int
    background: tuple[int, int, int]
    shares: Mapping[Split, float]
    class_names: tuple[str, ...]
    skip_bad: bool

    def build(self, builder: Builder) -> None:
        """Write the images of all splits, their labels, and which file each image comes from.

        Raises:
            DataError: a picture is damaged, a split gets no image, or the disc refuses.
        """
        builder.folder.mkdir(parents=True, exist_ok=True)
        pool = unfinished_name(builder.folder / "images")
        try:
            with open(pool, "w+b") as file:
                found = self._decoded(file)
                file.flush()
                self.refuse(found.bad)
                self._write(found, pool, builder)
        finally:
            pool.unlink(missing_ok=True)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """(name, kind) of every file that is known to be bad without decoding it."""
        return [
            (f"{part and source.path.name + '/'}{entry.name}", self._problem(entry))
            for part, source in self.sources.items()
            for entry in source.entries
            if self._problem(entry)
        ]

    def _problem(self, entry: Entry) -> str:
        return entry.problem or self.fitting.problem(*entry.shape[1:3])

    def refuse(self, damaged: list[tuple[str, str]]) -> None:
        """Refuse bad files, unless they are to be skipped and others are left.

        Args:
            damaged: (name, kind) of those that were found while decoding.

        Raises:
            DataError: counts them, and names the first of each kind.
        """
        found = [*self.problems, *damaged]
        if len(found) == self.total:
            raise DataError(self.summary(damaged))
        if found and not self.skip_bad:
            raise DataError(
                f"{self.summary(damaged)}; mend or remove them, or leave them out with "
                "data.skip_bad=true"
            )

    def summary(self, damaged: list[tuple[str, str]]) -> str:
        """How many files cannot be used, and which first."""
        return bad.summary(self.sources[""].path, self.total, [*self.problems, *damaged])

    @property
    def total(self) -> int:
        """Number of files, or of arrays."""
        return sum(len(source.entries) for source in self.sources.values())

    def _decoded(self, file: IO[bytes]) -> "_Found":
        """Decode all pictures into a file, several at a time."""
        found = _Found()
        total = sum(entry.shape[0] for s in self.sources.values() for entry in s.entries)
        with (
            pictures.quiet(),
            ThreadPoolExecutor(_THREADS) as threads,
            progress(total, f"convert {self.sources[''].path.name}", "images") as bar,
        ):
            for part, source in self.sources.items():
                tasks = (task for task in source.tasks() if not self._problem(task.entry))
                for batch in _batches(tasks):
                    for task, result in zip(batch, threads.map(self._image, batch), strict=True):
                        found.add(part, task, result, file)
                        bar.update()
        return found

    def _image(self, task: Task) -> "_Decoded | Bad":
        """The images that a picture becomes, uint8 (n, h, w, C), with its hash."""
        try:
            if isinstance(task.content, Bad):
                return task.content
            if isinstance(task.content, bytes):
                picture = pictures.pixels(task.content, self.background)
            else:
                picture = task.content
            height, width, _ = picture.shape
            images = self.fitting.images(channels_as(picture, self.colors))
            hashes = [hashlib.sha256(np.ascontiguousarray(one).data).digest() for one in images]
            enlarged = self.fitting.enlarges(height, width)
            return _Decoded(images, hashes, shares.place(picture), enlarged)
        except Bad as error:
            return error

    def _write(self, found: "_Found", pool: Path, builder: Builder) -> None:
        """Deal the images to the splits, and write each in the order of the names."""
        rows = found.rows
        splits = [row.part or self._dealt(row.place) for row in rows]
        dealt = frozenset(name for name, share in self.shares.items() if share)
        out = shares.left_out(splits, [row.hash for row in rows], dealt)
        order = sorted(range(len(rows)), key=lambda index: (rows[index].name, rows[index].tile))
        of_split: dict[Split, list[int]] = {
            split: [index for index in order if splits[index] == split and not out[index]]
            for split in ("train", "val", "test")
        }
        self._check_counts(of_split, len(rows))
        shape = (*self.fitting.size, self.colors)
        images = np.memmap(pool, np.uint8, "r", shape=(len(rows), *shape))
        chosen = {split: indices for split, indices in of_split.items() if indices}
        builder.store.parts = self._parts(chosen)
        for split, indices in chosen.items():
            with builder.part(split) as writer:
                for start in range(0, len(indices), _BLOCK):
                    block = images[indices[start : start + _BLOCK]]
                    writer.write(np.ascontiguousarray(block.transpose(0, 3, 1, 2)))
            if self.class_names:
                numbers = {name: number for number, name in enumerate(self.class_names)}
                labels = np.array([numbers[rows[index].label] for index in indices], np.int64)
                with builder.part(f"{split}_labels") as writer:
                    writer.write(labels)
            with replacing(builder.folder / f"{split}.txt") as stream:
                stream.writelines(f"{rows[index].title}\n" for index in indices)
        builder.about = found.about(splits, out)

    def _dealt(self, place: float) -> Split:
        return shares.split_of(place, self.shares["val"], self.shares["test"])

    def _parts(self, of_split: Mapping[Split, list[int]]) -> dict[str, Part]:
        shape = (self.colors, *self.fitting.size)
        parts = {}
        for split, rows in of_split.items():
            parts[str(split)] = Part((len(rows), *shape))
            if self.class_names:
                parts[f"{split}_labels"] = Part((len(rows),), "int64")
        return parts

    def _check_counts(self, of_split: Mapping[Split, list[int]], total: int) -> None:
        """Refuse a split that is asked for and gets no image.

        Raises:
            DataError: says which, and what to do.
        """
        asked: set[Split] = {"train", *(part for part in self.sources if part)}
        asked |= {split for split, share in self.shares.items() if share}
        for split in sorted(asked):
            if not of_split[split]:
                share = self.shares.get(split)
                key = f"data.{split}={share:g}" if share else f"data.{split}"
                remedy = "give more images, or another share or a folder"
                raise DataError(
                    f"{self.sources[''].path}: {key}: none of {total:,} images is for {split}; "
                    f"{remedy}"
                )


class _Decoded(NamedTuple):
    """What a picture has become."""

    images: np.ndarray
    hashes: list[bytes]
    place: float
    enlarged: bool


class _Row(NamedTuple):
    """One image of the pool."""

    name: str
    tile: int
    part: Side
    label: str
    hash: bytes
    place: float

    @property
    def title(self) -> str:
        """The file, and which of its tiles."""
        return f"{bad.shown(self.name)} {self.tile}" if self.tile else bad.shown(self.name)


@dataclass
class _Found:
    """All that was decoded: the rows of the pool, and what could not be used."""

    rows: list[_Row] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    enlarged: int = 0
    brightest: int = 0

    def add(self, part: Side, task: Task, result: _Decoded | Bad, file: IO[bytes]) -> None:
        """Append the images of a picture to the pool, or the picture to the bad ones."""
        if isinstance(result, Bad):
            self.bad.append((task.name, str(result)))
            return
        self.enlarged += result.enlarged
        self.brightest = max(self.brightest, int(result.images.max()))
        part = part or task.entry.part
        if part == "train":  # what is not for validation or testing may be dealt
            part = ""
        for tile, (image, digest) in enumerate(zip(result.images, result.hashes, strict=True)):
            file.write(np.ascontiguousarray(image).data)
            self.rows.append(_Row(task.name, tile, part, task.label, digest, result.place))

    def about(self, splits: list[Split], out: np.ndarray) -> dict[str, Any]:
        """What is kept beside the images, for those who ask what became of the files."""
        return {
            "damaged": self.bad,
            "enlarged": self.enlarged,
            "brightest": self.brightest,
            "left_out": {
                split: sum(bool(o) for o, one in zip(out, splits, strict=True) if one == split)
                for split in ("train", "val")
            },
        }


def _batches(tasks: Iterator[Task]) -> Iterator[list[Task]]:
    while batch := list(itertools.islice(tasks, _BATCH)):
        yield batch
