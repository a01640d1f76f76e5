"""What was decoded, before it is known which split each image goes to."""

from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple

import numpy as np

from pixelrnn.arguments import Split
from pixelrnn.data.own import bad
from pixelrnn.data.own.bad import Bad
from pixelrnn.data.own.shares import Side
from pixelrnn.data.own.sources import Task


class Decoded(NamedTuple):
    """What a picture has become."""

    images: np.ndarray
    hashes: list[bytes]
    place: float
    enlarged: bool


class Row(NamedTuple):
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
class Found:
    """All that was decoded: the rows of the pool, and what could not be used."""

    rows: list[Row] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    enlarged: int = 0
    brightest: int = 0

    def add(
        self, part: Side, task: Task, title: str, result: Decoded | Bad, file: IO[bytes]
    ) -> None:
        """Append the images of a picture to the pool, or the picture to the bad ones."""
        if isinstance(result, Bad):
            self.bad.append((title, str(result)))
            return
        self.enlarged += result.enlarged
        self.brightest = max(self.brightest, int(result.images.max()))
        part = part or task.entry.part
        if part == "train":  # what is not for validation or testing may be dealt
            part = ""
        for tile, (image, digest) in enumerate(zip(result.images, result.hashes, strict=True)):
            file.write(np.ascontiguousarray(image).data)
            self.rows.append(Row(task.name, tile, part, task.label, digest, result.place))

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
