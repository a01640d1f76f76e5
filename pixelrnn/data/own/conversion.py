"""From pictures to the arrays of the splits: decode, fit, deal, write.

All images go into one temporary file first, since only then it is known how many there are, and
which of them are equal. Axes: `N` images, `H W` picture, `h w` image, `C` channels.
"""

import hashlib
import itertools
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from pixelrnn import cores
from pixelrnn.arguments import Split
from pixelrnn.atomic import replacing, unfinished_name
from pixelrnn.data.converted import Builder
from pixelrnn.data.own import bad, pictures, shares
from pixelrnn.data.own.bad import Bad
from pixelrnn.data.own.fitting import Fitting
from pixelrnn.data.own.pool import Decoded, Found
from pixelrnn.data.own.shares import Side
from pixelrnn.data.own.sources import Entry, Source, Task, channels_as
from pixelrnn.data.part_writer import Part
from pixelrnn.data.progress import progress
from pixelrnn.errors import DataError

log = logging.getLogger(__name__)

_BLOCK = 1024  # images that are written at once
_THREADS = min(8, cores.available())
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
        for source in self.sources.values():
            if source.note:
                log.warning("%s: %s", source.path, source.note)
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

    @cached_property
    def problems(self) -> list[tuple[str, str]]:
        """(title, kind) of every file that is known to be bad without decoding it."""
        return [
            (self.title(part, entry), self._problem(entry))
            for part, source in self.sources.items()
            for entry in source.entries
            if self._problem(entry)
        ]

    def title(self, part: Side, entry: Entry) -> str:
        """The name of a file for messages: that of its source goes before it, where there are more.

        Args:
            part: the key of its source.
            entry: the file.
        """
        source = self.sources[part].path.name
        return f"{source}/{entry.name}" if part and entry.name else entry.name or source

    def _problem(self, entry: Entry) -> str:
        _, height, width, channels = entry.shape
        if not entry.problem and channels != self.colors and {channels, self.colors} != {1, 3}:
            return f"with {channels} channels, not {self.colors}"
        return entry.problem or self.fitting.problem(height, width)

    def refuse(self, damaged: list[tuple[str, str]]) -> None:
        """Refuse bad files, unless they are to be skipped and others are left.

        Args:
            damaged: (title, kind) of those that were found while decoding.

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

    def estimated_count(self, split: Split) -> int:
        """About how many images a split gets; which are damaged or equal is not known before.

        Args:
            split: one of those that get any.
        """
        shares = {**self.shares, "train": 1 - sum(self.shares.values())}
        expected = 0.0
        for part, source in self.sources.items():
            for entry in source.entries:
                where = part or entry.part
                share = float(where == split) if where else shares.get(split, 0.0)
                if not self._problem(entry):
                    count, height, width, _ = entry.shape
                    expected += share * count * self.fitting.pieces(height, width)
        return max(1, round(expected))

    def _decoded(self, file: IO[bytes]) -> Found:
        """Decode all pictures into a file, several at a time."""
        found = Found()
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
                        found.add(part, task, self.title(part, task.entry), result, file)
                        bar.update()
        return found

    def _image(self, task: Task) -> Decoded | Bad:
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
            return Decoded(images, hashes, shares.place(picture), enlarged)
        except Bad as error:
            return error

    def _write(self, found: Found, pool: Path, builder: Builder) -> None:
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


def _batches(tasks: Iterator[Task]) -> Iterator[list[Task]]:
    while batch := list(itertools.islice(tasks, _BATCH)):
        yield batch
