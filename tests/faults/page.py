"""docs/faults.md, from the entries that the tests check: `python -m tests.faults.page`."""

from pathlib import Path

from tests.faults import data_files, foreign, run_folders, surroundings
from tests.faults.fault import TRAIN, Fault

SECTIONS: dict[str, tuple[Fault, ...]] = {
    "Bad surroundings": surroundings.FAULTS,
    "Damaged files of a run folder": run_folders.FAULTS,
    "Files of the data set, while a run reads them": data_files.FAULTS,
    "Run folders from somebody else": foreign.FAULTS,
}

_HEAD = """# What goes wrong, what is said, and what is kept

Every row is carried out by `tests/faults/test_faults.py`, which compares the line, the exit code
and the files. This page is written from the same entries: `python -m tests.faults.page`.

The run in question lies in `run`; "the same command" is the one that trains it. … stands for what
differs from machine to machine. Exit codes: 0 done, 1 failed, 2 refused in one line, 130 and 143
interrupted.
"""


_COLUMNS = "| fault | command | said | exit | kept |\n|---|---|---|---|---|\n"


def text() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, faults in SECTIONS.items():
        parts.append(f"\n## {title}\n\n{_COLUMNS}")
        parts += [_row(entry) for entry in faults]
    return "".join(parts)


def _row(entry: Fault) -> str:
    command = "the same" if entry.command == TRAIN else f"`pixelrnn {' '.join(entry.command)}`"
    says = f"`{entry.says}`" if entry.says else "nothing"
    cells = (entry.what, entry.shown or command, says, str(entry.code), entry.kept.words)
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "docs" / "faults.md"
    path.write_text(text(), encoding="utf-8")
    print(path)
