"""`pixelrnn plan sweep=table5`: what runs will take on this machine, from a few measured steps."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from rich.console import Console

from pixelrnn.arguments import Positive
from pixelrnn.cli import plain_arguments, planned, signatures, usage
from pixelrnn.cli.planned import Job, Sweep
from pixelrnn.results import grid

Seconds = Annotated[float, Field(gt=0)]

_COLUMNS = (
    grid.Column("run", wraps=True),
    grid.Column("state", spare=1),
    grid.Column("parameters", number=True, spare=3),
    grid.Column("steps", number=True, spare=2),
    grid.Column("s/step", number=True),
    grid.Column("threads", number=True, spare=5),
    grid.Column("memory", number=True, spare=4),
    grid.Column("time", number=True),
)


def main(argv: list[str]) -> int:
    """Entry of the verb. Returns 1 if one of the runs cannot run here."""
    if plain_arguments.HELP & set(argv):
        print(usage.usage(plan))
        return 0
    keys = signatures.keys(plan)
    own = [word for word in argv if word.partition("=")[0] in keys]
    values = plain_arguments.parsed(plan, own)
    found = plan(words=[word for word in argv if word not in own], **values)
    return int(any(job.trouble for job in found.jobs))


def plan(
    *,
    steps: Positive = 3,
    seconds: Seconds = 5.0,
    format: Literal["table", "json"] = "table",
    words: Sequence[str] = (),
) -> Sweep:
    """Say what runs will take on this machine: parameters, steps, memory and time.

    Nothing is trained. A few steps, an evaluation and some rows of samples of the real shapes are
    measured, each setting in a process of its own, as many at a time as the launcher would run.
    Data that are not at hand are not fetched: random images stand for them. What is done already
    is subtracted.

    Args:
        steps: how many training steps are measured at least.
        seconds: about how long each part of a run is measured; a longer time is more exact.
        format: a table to read, or all that was measured as JSON.
        words: what stands after `pixelrnn train`, such as sweep=table5, experiment=cifar10_row_lstm
            or -m seed=0,1 hydra/launcher=local_joblib.

    Returns:
        The jobs, in the order in which they would run.

    Raises:
        ConfigError: a word is wrong.
    """
    found = planned.sweep(words)
    found = planned.measured(found, steps, seconds, _told)
    if format == "json":
        print(json.dumps(_plain(found), indent=2))
    else:
        _show(found)
    return found


def _told(done: int, count: int) -> None:
    """How far the measurements are, where someone watches."""
    if count > 1 and sys.stderr.isatty():
        print(f"\rmeasured {done} of {count} settings ", end="", file=sys.stderr, flush=True)
        if done == count:
            print(file=sys.stderr)


def _plain(found: Sweep) -> dict[str, Any]:
    """What is known, for JSON: times in seconds, memory in bytes."""
    one_by_one, launched = planned.total(found)
    jobs = [
        {
            "run": job.name,
            "folder": str(job.prepared.folder),
            "state": job.state or "not begun",
            "done": job.done,
            "steps": job.steps,
            "at_most": job.at_most,
            "trouble": job.trouble or None,
            "left": None if job.left is None else {**asdict(job.left), "all": job.left.seconds},
            "costs": None if job.costs is None else asdict(job.costs),
        }
        for job in found.jobs
    ]
    return {
        "jobs": jobs,
        "launcher": found.launcher,
        "at_once": found.at_once,
        "seconds": {"one_by_one": one_by_one, "launched": launched},
    }


def _show(found: Sweep) -> None:
    console = Console()
    if found.shared:
        console.print(found.shared, style="bold", highlight=False, markup=False, soft_wrap=True)
    rows = [_cells(job) for job in found.jobs]
    styles = ["red" if job.trouble else "dim" if job.finished else None for job in found.jobs]
    grid.show(console, _COLUMNS, rows, styles)
    for line in (*_totals(found), *_notes(found)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _cells(job: Job) -> list[str]:
    if job.costs is None:
        return [job.name, job.state or "cannot run", *[""] * 5, "0" if job.finished else ""]
    return [
        job.name,
        job.state,
        f"{job.costs.parameters:,}",
        "" if job.steps is None else f"{job.steps:,}",
        f"{job.costs.step:.3g}",
        str(job.costs.threads),
        _bytes(job.costs.device_memory or job.costs.memory),
        "" if job.left is None else ("at most " if job.at_most else "") + span(job.left.seconds),
    ]


def _totals(found: Sweep) -> list[str]:
    one_by_one, launched = planned.total(found)
    at_most = "at most " if any(job.at_most for job in found.jobs) else ""
    if not one_by_one:
        return []
    order = "one after the other" if len(found.jobs) > 1 else "the command"
    lines = [f"{order}: {at_most}{span(one_by_one)}, the program's own start included"]
    if found.at_once > 1:
        where = "" if found.here else ", on machines that are as fast as this one"
        lines.append(
            f"hydra/launcher={found.launcher}, {found.at_once} at a time{where}: "
            f"{at_most}{span(launched)}"
        )
    return lines


def _notes(found: Sweep) -> list[str]:
    """What a reader must know about the numbers."""
    costs = [job.costs for job in found.jobs if job.costs]
    notes = [f"{job.name}: {job.trouble}" for job in found.jobs if job.trouble]
    if any(one.drawn for one in costs):
        notes.append("The data are not at hand: random images of their shape were measured.")
    if any(one.processes > 1 for one in costs):
        notes.append("One of the processes of a run was measured, without their exchange.")
    if any(job.at_most for job in found.jobs):
        notes.append("Early stopping, or trainer.max_time, may end a training before.")
    return notes


def span(seconds: float) -> str:
    """A time in words: 42 s, 14 min, 5.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
