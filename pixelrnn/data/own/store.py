"""The store of converted images whose numbers no table knows."""

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixelrnn.data.converted import FORMAT, Store
from pixelrnn.data.own import arrays, files
from pixelrnn.data.part_writer import Part


class CountedStore(Store):
    """A store of images whose numbers are known only when all were read; meta.json says them.

    Args:
        root: folder of all data.
        name: name of the set, and of its folder.
        command: the command line that prepares, or repairs, this set.
        settings: what the converted images depend on, plain.
    """

    def __init__(self, root: Path, name: str, command: str, settings: Mapping[str, Any]) -> None:
        super().__init__(root, name, {}, command)
        self.settings = json.loads(json.dumps(settings))  # as meta.json gives it back

    def recipe(self) -> dict[str, Any]:
        """See `Store.recipe`."""
        return {"format": FORMAT, "name": self.name, "settings": self.settings}

    def about(self) -> dict[str, Any]:
        """What the conversion noted (`Builder.about`).

        Raises:
            DataError: not prepared.
        """
        return dict(self._meta()["about"])

    def count(self, part: str) -> int:
        """Number of entries of a part.

        Raises:
            DataError: not prepared.
        """
        return int(self._meta()["parts"][part]["shape"][0])

    def _parts_of(self, meta: Mapping[str, Any]) -> dict[str, Part]:
        self.parts = {
            name: Part(tuple(entry["shape"]), entry["dtype"])
            for name, entry in meta["parts"].items()
        }
        return self.parts


def command(kind: str, settings: Any) -> str:
    """The command line that prepares, or repairs, a set; a shell takes it as it stands.

    Args:
        kind: as in `data=`, such as "images".
        settings: the dataclass of the set, as the user filled it.
    """
    words = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name) if field.init else field.default
        if value != field.default:
            key = "paths.data" if field.name == "root" else f"data.{field.name}"
            words.append(shlex.quote(f"{key}={_as_word(value)}"))
    return " ".join(["pixelrnn data", kind, *words])


def _as_word(value: Any) -> str:
    """A value as the command line takes it: true, null, [32,48]."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_as_word, value))}]"
    return str(value)


def named(path: Path) -> str:
    """The name of a path as a part of a file's name, without the endings of archives."""
    name = path.resolve().name
    for ending in (*files.ARCHIVES, *arrays.ENDINGS):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_")[:40] or "images"
