"""The classes of a user's images: names of folders, or labels of arrays."""

from collections.abc import Mapping

from pixelrnn.data.own.shares import Side
from pixelrnn.data.own.sources import Source
from pixelrnn.errors import DataError


def names(found: Mapping[Side, Source]) -> tuple[str, ...]:
    """Names of the classes, in order; those that are numbers in the order of numbers.

    Args:
        found: what there is; the key is the split that all of it is for, or "".

    Raises:
        DataError: images for validation or testing are of classes that training has not.
    """
    of_part: dict[Side, set[str]] = {}
    for part, source in found.items():
        for entry in source.entries:
            if not entry.problem:
                of_part.setdefault(part or entry.part, set()).update(source.labels_of(entry))
    known = of_part.pop("", set()) | of_part.pop("train", set())
    for part, names in of_part.items():
        if names - known:
            path = found.get(part, found[""]).path
            raise DataError(
                f"{path}: images for {part} are of the class {min(names - known)}, of which there "
                "are none to train on"
            )
    numbers = all(name.isdecimal() for name in known)
    return tuple(sorted(known, key=(lambda name: (int(name), name)) if numbers else None))
