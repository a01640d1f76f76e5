"""A multirun that survives: every job leaves a note, and the end says what became of them all.

Jobs may run in other processes or on other machines, so notes are files (`results/membership.py`).
"""

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from pixelrnn import ranks
from pixelrnn.cli import command_line, hydra_main
from pixelrnn.cli.multirun import plans, search
from pixelrnn.errors import Interrupted, PixelRNNError
from pixelrnn.results import membership, outcome

AGAIN = "the same command skips what is finished and goes on with the rest"


class Planned(Protocol):
    """What a job prepares before it works."""

    @property
    def folder(self) -> Path:
        """The run folder."""


Prepared = TypeVar("Prepared", bound=Planned)


def run(
    words: Sequence[str], job: Callable[[Any], Any], check: Callable[[dict[str, Any]], Any]
) -> int:
    """Run all jobs, print what came of them.

    Args:
        words: overrides.
        job: function of a module, so that launchers can send it elsewhere; it calls `recorded`.
        check: raises `ConfigError` for a plain configuration that no job can have.

    Returns:
        0; 1 if a job failed or was killed; 130 or 143 if the multirun itself was stopped.

    Raises:
        ConfigError: a job would be refused, or a stored study is not what was asked for.
        RunError: another process works on the same search.
    """
    plan = plans.of(words, check)
    folder = membership.new_folder(Path(plan.first.paths.runs), plan.first.sweep_name)
    noted = [
        *words,
        command_line.quoted("hydra.sweep.dir", str(folder)),
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(plan.fixed)}]",
    ]
    with search.of(plan) as found:
        if found is None:
            _say(f"{plan.count} jobs; notes in {folder}")
            return _run(noted, job, folder, plan.count)
        code = _run(noted + found.words(), job, folder, found.left()) if found.left() else 0
        _say(found.line())
    return code


def recorded(
    prepare: Callable[[], Prepared], work: Callable[[Prepared], float | None]
) -> float | None:
    """Do one job and note what becomes of it; an error is noted and ends here.

    Args:
        prepare: checks the job and names its run folder.
        work: trains, or finds the finished run.

    Returns:
        What `work` returns; None if the job failed.
    """
    config = HydraConfig.get()
    os.chdir(config.runtime.cwd)  # where the command was given; workers may start elsewhere
    folder = Path(config.sweep.dir)
    note = membership.Note(job=list(config.overrides.task), number=int(config.job.num))
    _write(folder, note)
    varies = str(config.job.override_dirname).replace(",", " ")
    _say(f"job {note.number}: {varies}")
    try:
        planned = prepare()
        note.run = planned.folder
        _write(folder, note)
        state = _state(planned.folder)
        with _default_sigterm():
            value = work(planned)
        note.state = state
        return value
    except Exception as error:
        if not isinstance(error, PixelRNNError):
            traceback.print_exc()  # in whichever process of the job
        note.state, note.type = "failed", type(error).__name__
        note.message = " ".join(str(error).split())[:300] or type(error).__name__
        _say(f"job {note.number} failed: {note.message}")
        return None
    finally:
        if note.state != "started":
            _write(folder, note)


def _write(folder: Path, note: membership.Note) -> None:
    """Write a note, once for all processes of a job."""
    if ranks.is_first():
        membership.write(folder, note)


def _state(run: Path) -> str:
    """What a job that ends well will have done."""
    if (run / "results.json").is_file():
        return "skipped"
    return "resumed" if (run / "checkpoints" / "last.ckpt").is_file() else "finished"


def _run(words: Sequence[str], job: Callable[[Any], Any], folder: Path, count: int) -> int:
    """Let Hydra launch the jobs; returns the exit code."""
    stopped: KeyboardInterrupt | None = None
    broken: Exception | None = None
    try:
        with _sigterm_interrupts():
            hydra_main.run(words, job, multirun=True)
    except PixelRNNError:
        raise
    except KeyboardInterrupt as error:
        stopped = error
    except Exception as error:  # a launcher whose job was killed: the others' notes still count
        broken = error
    code = _report(folder, count, broken, stopped)
    if stopped is None:
        return code
    return stopped.exit_code if isinstance(stopped, Interrupted) else 130


def _report(
    folder: Path,
    count: int,
    broken: Exception | None = None,
    stopped: KeyboardInterrupt | None = None,
) -> int:
    """Print what became of the jobs; returns 1 if one failed or was killed, else 0."""
    notes = membership.read(folder)
    console = Console(stderr=True)
    outcome.show(console, notes)
    bad = [note for note in notes if note.state in ("failed", "killed")]
    counts = {state: sum(note.state == state for note in notes) for state in membership.STATES}
    if count > len(notes):
        counts["not started"] = count - len(notes)
    states = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    lines = [f"multirun: {len(notes)} jobs: {states}"]
    alike = set.intersection(*(set(note.job) for note in notes)) if len(notes) > 1 else set()
    for note in bad:
        varies = " ".join(word for word in note.job if word not in alike)
        lines.append(f"  {note.state}  job {note.number}, {varies}: {note.message}")
    if stopped is not None:
        lines.append(f"  {' '.join(str(stopped).split()) or 'interrupted'}")
    if broken is not None:
        lines.append(f"  the launcher ended early: {' '.join(str(broken).split())[:300]}")
    if bad or broken is not None or stopped is not None:
        lines.append(f"  {AGAIN}")
    _say("\n".join(lines))
    return 1 if bad or broken is not None else 0


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Between jobs, SIGTERM ends the multirun as Ctrl-C does, so that it is reported."""
    if not _may_handle():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _default_sigterm() -> Iterator[None]:
    """While a job trains, SIGTERM is the training's to handle."""
    if not _may_handle() or signal.getsignal(signal.SIGTERM) is not _interrupt:
        yield
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, _interrupt)


def _may_handle() -> bool:
    return threading.current_thread() is threading.main_thread()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number, f"interrupted by {signal.Signals(number).name}")


def _say(text: str) -> None:
    if ranks.is_first():
        Console(stderr=True).print(text, highlight=False, soft_wrap=True, markup=False)
