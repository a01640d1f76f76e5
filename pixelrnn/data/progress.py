"""Progress of long work on files: a bar on a terminal, a plain line now and then elsewhere."""

import sys
from typing import TextIO

from tqdm import tqdm

INTERVAL = 30.0
"""Seconds between two lines where the output is not a terminal."""


def progress(
    total: int, title: str, unit: str = "B", file: TextIO | None = None, done: int = 0
) -> tqdm:
    """A bar with the time left; it stays away from what is done at once.

    Args:
        total: how many units there are.
        title: what is done.
        unit: what is counted; bytes are shown in thousands and millions.
        file: where it is shown; None: standard error.
        done: units that were done before.
    """
    file = file or sys.stderr
    common = {"total": total, "desc": title, "unit": unit, "unit_scale": unit == "B"}
    common["initial"] = done
    if file.isatty():
        return tqdm(**common, file=file, delay=1)
    return tqdm(**common, file=_Lines(file), delay=INTERVAL, mininterval=INTERVAL, ascii=True)


class _Lines:
    """Turns what tqdm would draw over and over in one line into lines without control codes."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, text: str) -> None:
        text = text.strip()
        if text:
            self.file.write(f"{text}\n")

    def flush(self) -> None:
        self.file.flush()
