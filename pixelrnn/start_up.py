"""The seconds before the work: modules are imported while Python seldom looks for garbage.

An import makes a million objects that stay, and each search for garbage among them is in vain: with
Python's own thresholds the searches take a sixth of the time to the first training step.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = (1_000_000, 10, 10)

_usual: tuple[int, int, int] | None = None


@contextmanager
def starting() -> Iterator[None]:
    """Search for cyclic garbage seldom, until `finished` is called or the block ends."""
    global _usual
    outer, before = _usual, gc.get_threshold()
    if outer is None:
        _usual = before
        gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        if outer is None:
            finished()


def finished() -> None:
    """Search for garbage as often as before `starting`: from here on there may be some."""
    global _usual
    if _usual is not None:
        gc.set_threshold(*_usual)
        _usual = None
