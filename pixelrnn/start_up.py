"""The seconds before the work: modules are imported while Python seldom looks for garbage.

An import makes a million objects that stay, and each search for garbage among them is in vain: with
Python's own thresholds the searches take a sixth of the time to the first training step.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = (1_000_000, 10, 10)

_usual: tuple[int, int, int] | None = None
_began = False


@contextmanager
def starting() -> Iterator[None]:
    """Search for cyclic garbage seldom, until `finished` is called or the block ends.

    Only the first block of a process does so: what comes later is imported already.
    """
    global _usual, _began
    if _began:
        yield
        return
    _began, _usual = True, gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        finished()
        gc.unfreeze()


def finished() -> None:
    """Search for garbage as often as before `starting`: from here on there may be some.

    What was imported is left out of these searches until the block ends: the first one would take
    as long as all that were saved. So this is called before a model is built.
    """
    global _usual
    if _usual is not None:
        gc.freeze()
        gc.set_threshold(*_usual)
        _usual = None
