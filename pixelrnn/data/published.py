"""Data sets that come as files: verified, converted once, read from the converted arrays."""

from dataclasses import field
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass

from pixelrnn.arguments import Split
from pixelrnn.data import download
from pixelrnn.data.converted import Store
from pixelrnn.data.part_writer import Part
from pixelrnn.data.registry import Source
from pixelrnn.data.stored import StoredImages


@dataclass(kw_only=True)
class PublishedImages(StoredImages):
    """Base of the published sets. A subclass writes `build`, which converts the raw files.

    A subclass sets `source`, the entry of `registry.SOURCES`, and the attributes of an image set.

    Args:
        root: folder of all data.
    """

    root: Path = Path("data")
    source: Source = field(init=False, repr=False)

    in_memory = True
    """Whether arrays are read whole and compared with their checksums, or mapped."""
    val_size = 0
    """How many training images, from the end of the file order, are kept for validation."""

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the labels stand for; empty if none are published."""
        return self.source.class_names

    @property
    def store(self) -> Store:
        """The converted files."""
        counts = self.source.parts
        parts = {name: Part((n, *self.source.image_shape)) for name, n in counts.items()}
        if self.source.labels:
            parts |= {f"{name}_labels": Part((n,), "int64") for name, n in counts.items()}
        command = f"pixelrnn data {self.choice} paths.data={self.root}"
        return Store(self.root, self.source.name, parts, command)

    @property
    def about_others(self) -> str:
        """What to say, where files are missing, about sets that this one may be taken for."""
        return ""

    @property
    def choice(self) -> str:
        """What chooses this set on the command line, after `pixelrnn data`."""
        return self.source.name

    def prepare(self) -> None:
        """Fetch, verify and convert what is not there yet; safe in many processes at once.

        Raises:
            DataError: raw files are missing, damaged, or of another set; or the disc refuses.
        """
        if not self.store.ready():
            download.require_those_by_hand(
                self.source, self.root, self.store.command, self.about_others
            )
        self.store.prepare(self.build)

    def part(self, name: str) -> np.ndarray:
        """A converted array: images, uint8 (N, C, H, W), or labels, int64 (N,)."""
        return self.store.read(name, in_memory=self.in_memory)

    def load(self, split: Split) -> np.ndarray:
        """The images of a split: uint8 (N, C, H, W)."""
        name, rows = self._rows(split)
        return self.part(name)[rows]

    def labels(self, split: Split) -> np.ndarray | None:
        """The classes of the images of a split, from 0: int64 (N,); None if none are published."""
        if not self.source.labels:
            return None
        name, rows = self._rows(split)
        return self.store.read(f"{name}_labels", in_memory=True)[rows]

    def count(self, split: Split) -> int:
        """The number of images of a split, from the table and not from the files."""
        name, rows = self._rows(split)
        return len(range(self.source.parts[name])[rows])

    def state(self) -> str:
        """What there is on disc; lengths are looked at, contents are not."""
        if self.store.ready():
            return "ready"
        if self.store.folder.exists():
            return "incomplete"
        files = {file for files in self.source.files.values() for file in files}
        paths = {self.root / "raw" / file.name: file.bytes for file in files}
        there = [path.exists() and path.stat().st_size == size for path, size in paths.items()]
        if all(there):
            return "raw files there"
        return "incomplete" if any(there) else "not there"

    def facts(self) -> list[tuple[str, str]]:
        """Title, licence, home page, and the raw files."""
        source = self.source
        facts = [("title", source.title), ("licence", source.licence)]
        facts.append(("home page", source.homepage))
        for file in {file: None for files in source.files.values() for file in files}:
            facts.append((f"raw/{file.name}", f"{file.bytes:,} bytes, SHA-256 {file.sha256}"))
        return facts

    def _rows(self, split: Split) -> tuple[str, slice]:
        """The part and the rows of it that make a split."""
        parts = self.source.parts
        cut = parts["train"] - self.val_size
        if split == "train":
            return "train", slice(cut)
        if split == "val" and self.val_size:
            return "train", slice(cut, None)
        # downsampled ImageNet has no test images: its official validation images serve as both
        return split if split in parts else "valid", slice(None)
