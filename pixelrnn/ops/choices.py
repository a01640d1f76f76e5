"""Which implementations were taken, and why: one line each, for the log and the record of a run.

The lines are kept for the life of the process, or until `forget`, which a run calls at its start.
"""

import logging

log = logging.getLogger(__name__)

_LINES: dict[str, None] = {}


def note(line: str, level: int = logging.INFO) -> None:
    """Log a line once, at this level, and keep it."""
    if line not in _LINES:
        _LINES[line] = None
        log.log(level, "%s", line)


def lines() -> list[str]:
    """Return what was noted, in order."""
    return list(_LINES)


def forget() -> None:
    """Forget all lines: what is taken from now on is noted, and logged, again."""
    _LINES.clear()
