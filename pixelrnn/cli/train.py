"""`pixelrnn train`: one run, from configuration to record. The same command finds the same run.

What trains is imported last: a wrong word is refused before that.
"""

import contextlib
import importlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from pixelrnn import ranks, start_up
from pixelrnn.cli import command_line, compose, questions, rerun
from pixelrnn.cli.multirun import jobs
from pixelrnn.errors import ConfigError

if TYPE_CHECKING:
    from pixelrnn.training.preparation import PreparedRun


def main(argv: list[str]) -> int | None:
    """Entry of the verb. Returns the exit code of a multirun."""
    command = command_line.parsed(argv)
    if questions.answered(command):
        return None
    if command.multirun:
        check_words(command)
        _check_started_once()
        return jobs.run(command.words, job, check)
    show(prepared(argv))
    return None


def train(words: Sequence[str] = ()) -> dict[str, Any]:
    """Train one run from Python: same folder, resume and record as the command `pixelrnn train`.

    Args:
        words: what stands after `pixelrnn train`, such as ["data=digits", "model.layers=4"].

    Returns:
        The record, as in results.json. A run that is finished already is not trained again.

    Raises:
        PixelRNNError: in place of the command's one line and exit code 2.
        KeyboardInterrupt: Ctrl-C; what was done is saved, and the same call goes on from there.
    """
    if isinstance(words, str):
        raise ConfigError(f"pixelrnn.train takes a list of words: [{words!r}]")
    command = command_line.parsed(list(words))
    if command.multirun or questions.asked(command):
        raise ConfigError(f"{' '.join(words)}: pixelrnn.train trains one run, and answers nothing")
    from pixelrnn.training import run

    return run.carry_out(prepared(list(words)))


def prepared(argv: list[str]) -> "PreparedRun":
    """The run that words describe, checked and named; nothing is written yet.

    Raises:
        ConfigError: a word is wrong.
        RunError: `run=` names no run, or the folder holds another run.
    """
    if any(word.startswith("run=") for word in argv):
        return rerun.prepared(argv)
    check_words(command_line.parsed(argv))
    config = compose.composed(argv)
    _import_wandb(config)
    from pixelrnn.training import preparation  # takes seconds: a wrong word is refused before

    return preparation.prepare(config)


def check(config: dict[str, Any]) -> None:
    """Refuse a plain configuration whose types or ranges are wrong; see `training.settings`."""
    _import_wandb(config)
    from pixelrnn.training import settings

    settings.checked(config)


def show(prepared_run: "PreparedRun") -> float | None:
    """Carry out a prepared run and report; returns what a sweeper minimises, if it is finite."""
    from pixelrnn.cli import report
    from pixelrnn.training import process, run

    before = prepared_run.record is not None
    results = run.carry_out(prepared_run)
    if process.is_writer():
        state = "finished before; delete the folder to train anew" if before else "done"
        report.show(results, prepared_run.folder, state)
    metrics = results["metrics"]
    value = metrics.get("val/bits_per_dim", metrics.get("test/bits_per_dim", math.nan))
    return value if math.isfinite(value) else None


def job(config: DictConfig) -> float | None:
    """One run of a multirun: what goes wrong is recorded, and stops no other.

    Returns:
        val/bits_per_dim, for a sweeper that optimises; None if the job failed or it is not finite.
    """
    with start_up.starting():  # a worker of a launcher imports all of it here
        from pixelrnn.training import preparation

        return jobs.recorded(lambda: preparation.prepare(compose.plain(config)), show)


def _import_wandb(config: dict[str, Any]) -> None:
    """Import W&B before torch, if a run will log to it.

    When a run starts, W&B imports its programming interface, which looks through all modules that
    are loaded for each of its classes: before torch that takes a third of the time.
    """
    loggers = (config.get("logger") or {}).values()
    if any("wandb" in str(node.get("_target_")).lower() for node in loggers if node):
        with contextlib.suppress(Exception):  # its logger says what is wrong
            getattr(importlib.import_module("wandb"), "Api", None)


def _check_started_once() -> None:
    """Refuse several processes that would all run the same sweep.

    Raises:
        ConfigError: torchrun or srun started this one.
    """
    here = ranks.place()
    if here is not None and here.size > 1:
        raise ConfigError(
            f"--multirun: {here.starter} started {here.size} processes, and each would run all "
            "jobs; start the sweep once, and let each job start its processes: trainer.devices="
            f"{here.local_size}, or hydra/launcher=slurm_ddp for jobs on several machines"
        )


def check_words(command: command_line.Command) -> None:
    """Refuse words that compose but do not do what they seem to say.

    Raises:
        ConfigError: a sweep without -m, or a scale alone.
    """
    words = dict(word.lstrip("+").split("=", 1) for word in command.words if "=" in word)
    if "sweep" in words and not command.multirun:
        raise ConfigError(
            f"sweep={words['sweep']}: a sweep is several runs, so it needs -m: "
            f"pixelrnn train -m sweep={words['sweep']} ..."
        )
    scale = words.get("scale", "paper")
    if scale != "paper" and {"experiment", "sweep", "benchmark"}.isdisjoint(words):
        raise ConfigError(
            f"scale={scale}: of which benchmark? Add experiment=..., sweep=... or benchmark=..."
        )
