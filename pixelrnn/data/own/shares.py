"""Which split an image goes to, by a hash of its content alone.

An image goes where its hash says, whatever other images there are: adding files moves none. Equal
pictures go the same way. Two pictures that become equal only when they are made smaller may go
different ways; then the one that is seen first is left out (`left_out`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator

from pixelrnn.arguments import Split
from pixelrnn.errors import ConfigError

Side = Split | Literal[""]
"""The split that an image is given to; "" if it is dealt by its hash."""


def _held(value: Any) -> Any:
    if isinstance(value, int | float) and (isinstance(value, bool) or not 0 <= value < 1):
        raise ValueError("a share is at least 0 and less than 1; or name a folder or file")
    return value


Held = Annotated[float | Path, BeforeValidator(_held)]
"""Images that are kept for validation or testing: a share, or where they lie."""

_ORDER: tuple[Split, ...] = ("test", "val", "train")
"""From what must be seen last to what is seen first."""


def check_given_once(
    path: Path, held: Mapping[Split, float | Path], named: AbstractSet[Side]
) -> None:
    """Refuse images of a split from two places, which would be merged.

    Args:
        path: what `data.path` says.
        held: what `data.val` and `data.test` say.
        named: the splits that names in `path` say.

    Raises:
        ConfigError: names the keys, and what to do.
    """
    lines = [
        f"data.{split}={where}, but data.path={path} holds images that are called {split}: leave "
        f"data.{split} out to use those, or name a data.path without them"
        for split, where in held.items()
        if isinstance(where, Path) and split in named
    ]
    if lines:
        raise ConfigError("; ".join(lines))


def place(picture: np.ndarray) -> float:
    """Where a picture lies in [0, 1): a hash of its size and pixels, uint8 (H, W, C)."""
    sha256 = hashlib.sha256(repr(picture.shape).encode())
    sha256.update(np.ascontiguousarray(picture).data)
    return int.from_bytes(sha256.digest()[:6], "big") / 2**48


def split_of(place: float, val: float, test: float) -> Split:
    """The split of a place. A larger `val` takes images from training alone, never from test."""
    return "test" if place < test else "val" if place < test + val else "train"


def left_out(
    splits: Sequence[Split], hashes: Sequence[bytes], dealt: frozenset[Split]
) -> np.ndarray:
    """Images that equal one of a split that is seen later and was dealt: bool (N,).

    Training is seen first, then validation, then testing. So no image of a dealt split stands in
    one that is seen before it, and a dealt test stays honest: validation images that the user gave
    are left out, too, where they equal one of its images. Images that the user gave for validation
    or testing take none from the splits before: training keeps what equals one of them.

    Args:
        splits: of each image.
        hashes: of each image's pixels.
        dealt: the splits among "val" and "test" whose images were dealt, not given by the user.
    """
    held: set[bytes] = set()
    out = np.zeros(len(splits), bool)
    for split in _ORDER:
        mine = [index for index, one in enumerate(splits) if one == split]
        out[[index for index in mine if hashes[index] in held]] = True
        if split in dealt:
            held |= {hashes[index] for index in mine}
    return out
