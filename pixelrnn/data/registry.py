"""The published data sets: the reader of registry.toml, which is the table of all of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class RawFile:
    """A file as published.

    Attributes:
        name: its name under <root>/raw.
        bytes: its length.
        sha256: its checksum.
        urls: where it is fetched from, best first; none: it has to be put there by hand.
        published: its name at the mirrors, if another set has a file of that name; else empty.
        unpacked_sha256: of a .gz file, the checksum of what is packed in it. It vouches for the
            file if it was packed anew or unpacked; empty: only the file as published is taken.
    """

    name: str
    bytes: int
    sha256: str
    urls: tuple[str, ...] = ()
    published: str = ""
    unpacked_sha256: str = ""


@dataclass(frozen=True)
class Source:
    """A published set.

    Attributes:
        name: name of the set, and of its folder under the root.
        title: one line.
        licence: one line.
        homepage: where the set is described.
        image_shape: (C, H, W).
        parts: the converted arrays of images and their numbers of images.
        files: the raw files of each part, in order.
        class_names: what the labels stand for, in their order; empty if there are no labels. A
            table says `class_names`, or `classes`, their number, if they are called 0, 1, ...
        by_hand: how to get files that cannot be fetched; {path} is where one has to go.
        members: MD5 of the files inside an archive, or of what is in a gzip file, which vouch for
            it if it was packed anew.
    """

    name: str
    title: str
    licence: str
    homepage: str
    image_shape: tuple[int, int, int]
    parts: Mapping[str, int]
    files: Mapping[str, tuple[RawFile, ...]]
    class_names: tuple[str, ...] = ()
    by_hand: str = ""
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> bool:
        """Whether each image has a label."""
        return bool(self.class_names)


def _source(name: str, table: dict[str, Any]) -> Source:
    mirrors = table.pop("mirrors", [])
    files = {
        part: tuple(
            RawFile(
                **file,
                urls=tuple(mirror + file.get("published", file["name"]) for mirror in mirrors),
            )
            for file in group
        )
        for part, group in table.pop("files").items()
    }
    shape = tuple(table.pop("image_shape"))
    names = tuple(table.pop("class_names", map(str, range(table.pop("classes", 0)))))
    return Source(name=name, files=files, image_shape=shape, class_names=names, **table)


SOURCES: dict[str, Source] = {
    name: _source(name, table)
    for name, table in tomllib.loads(
        resources.files("pixelrnn.data").joinpath("registry.toml").read_text(encoding="utf-8")
    ).items()
}
