"""Files that cannot be used, and the one line that says so."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_LONGEST_NAME = 200


class Bad(Exception):
    """A file cannot be used. Its text is the kind of the fault, such as "animated"."""


def summary(path: Path, total: int, bad: Iterable[tuple[str, str]]) -> str:
    """How many files cannot be used, of which kinds, and the first of each kind.

    Args:
        path: folder or archive.
        total: number of its files, the bad ones included.
        bad: (name, kind) of each bad file.
    """
    of_kind: dict[str, list[str]] = defaultdict(list)
    for name, kind in bad:
        of_kind[kind].append(name)
    count = sum(map(len, of_kind.values()))
    kinds = sorted(of_kind.items(), key=lambda item: (-len(item[1]), item[0]))
    texts = [
        f"{len(names):,} {kind} ({'first: ' if len(names) > 1 else ''}{shown(names[0])})"
        for kind, names in kinds
    ]
    return f"{path}: {count:,} of {total:,} files cannot be used: {', '.join(texts)}"


def shown(name: str) -> str:
    """A file's name as a message can show it: printable, on one line, not too long."""
    text = "".join(character if character.isprintable() else "?" for character in name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."
