"""A multirun that survives: every job leaves a note, and the end says what became of them all.

Jobs may run in other processes or on other machines, so notes are files:
runs/.sweep/<time>/<job number>.json. A note that still says "started" is of a job that was killed.
"""

import contextlib
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from pixelrnn import atomic
from pixelrnn.cli import compose
from pixelrnn.cli.multirun import plans, search
from pixelrnn.errors import PixelRNNError

QUESTIONS = {"-h", "--help", "--hydra-help"}
"""Flags on which Hydra answers, and runs no job."""

STATES = ("finished", "resumed", "skipped", "failed", "killed")


def run(argv: list[str], job: Callable[[Any], Any]) -> int:
    """Run all jobs, print the summary.

    Args:
        argv: overrides and Hydra's flags.
        job: function of a module, so that launchers can send it elsewhere.

    Returns:
        0, or 1 if a job failed or was killed.

    Raises:
        ConfigError: a job would not compose, or a stored study is not what was asked for.
        RunError: another process is at the same search.
    """
    if not QUESTIONS.isdisjoint(argv):
        compose.run("train", job, argv)
        return 0
    plan = plans.of("train", argv)
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder = Path(plan.first.paths.runs).absolute() / ".sweep" / stamp
    words = [*argv, compose.word("hydra.sweep.dir", str(folder))]
    with search.of(plan) as found:
        if found is None:
            return _run(words, job, folder)
        code = _run(words + found.words(), job, folder) if found.left() else 0
        _say(found.line())
    return code


@contextlib.contextmanager
def recorded(folder_of: Callable[[], Path]) -> Iterator[None]:
    """Note what becomes of a job; an error ends here.

    Args:
        folder_of: names the run folder; may raise, as any part of the job.
    """
    hydra = HydraConfig.get()
    os.chdir(hydra.runtime.cwd)  # where the command was given; workers may start elsewhere
    note = Path(hydra.sweep.dir) / f"{hydra.job.num}.json"
    content = {"job": " ".join(hydra.overrides.task), "run": None, "state": "started"}
    _write(note, content)
    try:
        run = folder_of()
        content["run"] = str(run)
        state = "finished"
        if (run / "results.json").is_file():
            state = "skipped"
        elif (run / "checkpoints" / "last.ckpt").is_file():
            state = "resumed"
        _write(note, content)
        yield
        content["state"] = state
    except Exception as error:
        if not isinstance(error, PixelRNNError):
            traceback.print_exc()
        content |= {"state": "failed", "message": " ".join(str(error).split())[:300]}
        content["type"] = type(error).__name__
    finally:
        if content["state"] != "started":
            _write(note, content)


def notes(folder: Path) -> list[dict[str, Any]]:
    """All notes of a multirun, in the order of its jobs."""
    paths = sorted(folder.glob("*.json"), key=lambda path: int(path.stem))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    for content in found:
        if content["state"] == "started":
            content |= {"state": "killed", "message": "the same command goes on from here"}
    return found


def _run(words: list[str], job: Callable[[Any], Any], folder: Path) -> int:
    broken = None
    try:
        compose.run("train", job, words)
    except PixelRNNError:
        raise
    except Exception as error:  # a launcher whose job was killed: the others' notes still count
        broken = error
    return _report(folder, broken)


def _report(folder: Path, broken: Exception | None) -> int:
    """Print what became of the jobs; returns the exit code."""
    found = notes(folder)
    bad = [content for content in found if content["state"] in ("failed", "killed")]
    counts = [f"{sum(c['state'] == state for c in found)} {state}" for state in STATES]
    lines = [f"multirun: {len(found)} jobs: {', '.join(c for c in counts if c[0] != '0')}"]
    lines += [f"  {c['state']}  {c['job']}: {c['message']}" for c in bad]
    if broken is not None:
        lines.append(f"  the launcher broke off: {' '.join(str(broken).split())[:300]}")
    if bad or broken is not None:
        lines.append("  the same command skips what is finished and tries the rest again")
    _say("\n".join(lines))
    return 1 if bad or broken is not None else 0


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, soft_wrap=True, markup=False)


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic.replacing(path) as file:
        json.dump(content, file)
