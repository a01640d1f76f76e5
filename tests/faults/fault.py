"""What a fault is: how it is made, the command, what is said, the exit code, what is kept.

An entry is checked by test_faults.py and printed by page.py, so that the page says what happens.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from pixelrnn.cli.main import main
from tests.cli.commands import TINY

RUN = Path("run")
TRAIN = (
    *TINY,
    *("trainer.max_epochs=2", "trainer.limit_train_batches=4", "trainer.limit_val_batches=1"),
    *("evaluate=[val]", "callbacks.entropy_gap=null", f"folder={RUN}"),
)
"""The command whose run the faults befall: 8 steps, a validation every 4."""

STOPPED_AT = 6
"""The step at which a half-done run was interrupted; best.ckpt is of step 4."""

NO_RUN, HALF_DONE, FINISHED = "no run", "half-done run", "finished run"

Make = Callable[[pytest.MonkeyPatch], Any]
Tree = dict[str, str]


@dataclass(frozen=True)
class Kept:
    """What is there after a fault.

    Attributes:
        words: for the page.
        check: is given the files as they were just before the command.
    """

    words: str
    check: Callable[[Tree], None]


@dataclass(frozen=True)
class Fault:
    """One thing that may go wrong.

    Attributes:
        what: names the fault; for the page.
        make: brings it about; an open-ended fault is a context manager.
        says: what the user reads, a line of it; "…" stands for what differs between machines.
            Empty: nothing is said.
        code: exit code.
        kept: what is there afterwards.
        start: what is there before.
        command: the words after `pixelrnn`.
        shown: of the command, for the page; empty: its words.
    """

    what: str
    make: Make
    says: str
    code: int
    kept: Kept
    start: str = HALF_DONE
    command: tuple[str, ...] = TRAIN
    shown: str = ""


def tree(root: Path = Path()) -> Tree:
    """Every file and folder below: its path -> a digest of its content; locks are left out."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name != ".lock" and not path.name.endswith(".lock"):
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = f"{path.is_dir()} {hashlib.sha256(content).hexdigest()}"
    return found


def metrics(run: Path = RUN) -> dict[str, float]:
    """The likelihoods in a record."""
    return json.loads((run / "results.json").read_text())["metrics"]


def curves(run: Path = RUN) -> list[str]:
    """The lines of metrics.csv without times and speeds, which no two runs share."""
    lines = (run / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    timed = [i for i, name in enumerate(names) if "per_second" in name]
    return [
        ",".join(cell for i, cell in enumerate(line.split(",")) if i not in timed) for line in lines
    ]


# ---- making -----------------------------------------------------------------------------------


def at(name: str, change: Callable[[Path], Any]) -> Make:
    """Change one file of the run."""
    return lambda patch: change(RUN / name)


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def a_file(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    path.write_bytes(b"x")


def gone(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(128, 256)) * 8)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def holding(text: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(text, encoding="utf-8")


def nothing(patch: pytest.MonkeyPatch) -> None:
    """The fault is in the words of the command."""


# ---- what is kept -----------------------------------------------------------------------------


def _unchanged(before: Tree) -> None:
    after = tree()
    after.pop(f"{RUN}/failed.json", None)  # says why; it is there in addition
    before = {name: digest for name, digest in before.items() if not name.endswith("failed.json")}
    assert after == before


def _only_the_run_stays(before: Tree) -> None:
    kept = {name: digest for name, digest in before.items() if "checkpoints/" in name}
    after = tree()
    assert kept.items() <= after.items()
    assert not (RUN / "results.json").exists()


NOTHING_WRITTEN = Kept("nothing is written", _unchanged)
CHECKPOINTS_STAY = Kept("the checkpoints stay as they were", _only_the_run_stays)


def ends_well(words: str, and_kept: str | None = None) -> Kept:
    """The run ends with the results of the undisturbed run, to the last bit.

    Args:
        words: for the page.
        and_kept: a file that must be there besides.
    """

    def check(before: Tree) -> None:
        assert metrics() == metrics(Path(os.environ["UNDISTURBED"]))
        assert and_kept is None or Path(and_kept).exists()

    return Kept(words, check)


AS_UNDISTURBED = ends_well("the run ends as if nothing had happened, to the last bit")


def _goes_on(before: Tree) -> None:
    assert not (RUN / "results.json").exists()
    assert main(list(TRAIN)) == 0
    assert metrics() == metrics(Path(os.environ["UNDISTURBED"]))


GOES_ON = Kept(
    "what was saved; once mended, the same command ends as undisturbed, to the last bit", _goes_on
)


def during(name: str, by: Callable[[Any], Any]) -> Make:
    """Something else in the place of a function while the command runs.

    Args:
        name: where the function stands.
        by: makes what takes its place from the function itself.
    """

    @contextlib.contextmanager
    def made(patch: pytest.MonkeyPatch) -> Iterator[None]:
        with patch.context() as context:
            context.setattr(name, by(resolve_name(name)))
            yield

    return made
