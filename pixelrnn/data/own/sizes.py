"""The size of images that are taken as they are."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pixelrnn.data.own.bad import shown
from pixelrnn.data.own.sources import Entry
from pixelrnn.errors import DataError


def common(path: Path, entries: Sequence[Entry]) -> tuple[int, int]:
    """Rows and columns that all pictures have; (1, 1) if there are none.

    Raises:
        DataError: they differ; says how, and what to do.
    """
    sizes = Counter((entry.shape[1], entry.shape[2]) for entry in entries)
    if not sizes:
        return 1, 1
    usual, count = sizes.most_common(1)[0]
    if len(sizes) > 1:
        other = next(entry for entry in entries if (entry.shape[1], entry.shape[2]) != usual)
        raise DataError(
            f"{path}: the images differ in size: {count:,} of {len(entries):,} have "
            f"{usual[0]} x {usual[1]}, {shown(other.name)} has {other.shape[1]} x {other.shape[2]} "
            "(rows x columns); give one with data.size=32 or data.size=[32,48]"
        )
    return usual
