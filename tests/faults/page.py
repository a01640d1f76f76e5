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


ELSEWHERE = (
    (
        "a file system that is really full, at six moments of a run that logs to W&B",
        "one line names the file, exit code 2; with space again the same command ends as "
        "undisturbed",
        "tests/cli/test_full_disc.py",
    ),
    (
        "W&B's own process is killed",
        "one line; training goes on at once, metrics.csv is whole, the next job of a sweep has a "
        "W&B of its own",
        "tests/cli/test_tracking_dies.py",
    ),
    (
        "W&B's own process hangs",
        "the same, after 30 seconds at one row and 10 at the end",
        "tests/cli/test_tracking_dies.py",
    ),
    (
        "a run that logs to W&B is killed, and goes on or not",
        "every row of metrics.csv arrives at the server once, online or by `pixelrnn sync`",
        "tests/cli/test_sync.py",
    ),
    (
        "SIGINT, SIGTERM or a cluster's SIGUSR1 at 40 moments of a training, and between the jobs "
        "of a sweep",
        "the same command ends as undisturbed, to the last bit",
        "tests/training/test_forty_signals.py",
    ),
    (
        "kill -9, more than forty times in one run, and a hundred times while a state is saved",
        "the same command ends as undisturbed, to the last bit",
        "tests/training/test_many_kills.py",
    ),
    (
        "one of several processes is killed",
        "the others end with one line; the same command goes on",
        "tests/training/test_processes_killed.py",
    ),
    (
        "jobs of a SLURM cluster are put back into the queue",
        "they go on, and the table is the same",
        "tests/slurm/test_slurm.py",
    ),
    (
        "any words after any verb, in single runs and multiruns",
        "no traceback; exit code 0 or 2",
        "tests/cli/test_fuzz_multirun.py",
    ),
    (
        "a Turkish locale",
        "the same results, tables and samples",
        "tests/cli/test_locale.py",
    ),
)
"""What happens, and the file of its test."""

_TAIL = """
## What takes minutes to show, and has tests of its own

| fault | what happens | test |
|---|---|---|
"""
_COLUMNS = "| fault | command | said | exit | kept |\n|---|---|---|---|---|\n"


def text() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, faults in SECTIONS.items():
        parts.append(f"\n## {title}\n\n{_COLUMNS}")
        parts += [_row(entry) for entry in faults]
    parts.append(_TAIL)
    parts += [f"| {what} | {happens} | `{test}` |\n" for what, happens, test in ELSEWHERE]
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
