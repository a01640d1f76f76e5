"""`pixelrnn train`: one run, from configuration to record. The same command finds the same run."""

import math
from pathlib import Path

from omegaconf import DictConfig

from pixelrnn.cli import compose, report, rerun
from pixelrnn.cli.multirun import jobs
from pixelrnn.errors import ConfigError
from pixelrnn.training import process, run


def main(argv: list[str]) -> int | None:
    """Entry of the verb. Returns the exit code of a multirun."""
    stored_run = [word for word in argv if word.startswith("run=")]
    if stored_run:
        show(rerun.plan(stored_run[0].removeprefix("run="), argv))
        return None
    _check_words(argv)
    if compose.is_multirun(argv):
        return jobs.run(argv, job)
    compose.run("train", task, argv)
    return None


def task(config: DictConfig) -> None:
    """One run."""
    show(run.prepare(compose.plain(config)))


def show(plan: run.Plan) -> float | None:
    """Carry a plan out and report; returns the likelihood that a sweeper minimises, if finite."""
    before = plan.record is not None
    results = run.carry_out(plan)
    if process.is_writer():
        state = "finished before; delete the folder to train anew" if before else "done"
        report.show(results, plan.folder, state)
    metrics = results["metrics"]
    value = metrics.get("val/bits_per_dim", metrics.get("test/bits_per_dim", math.nan))
    return value if math.isfinite(value) else None


def job(config: DictConfig) -> float | None:
    """One run of a multirun: what goes wrong is recorded, and stops no other.

    Returns:
        val/bits_per_dim, for a sweeper that optimises; None if the job failed or it is not finite.
    """
    plans = []

    def folder() -> Path:
        plans.append(run.prepare(compose.plain(config)))
        return plans[0].folder

    with jobs.recorded(folder):
        return show(plans[0])
    return None


def _check_words(argv: list[str]) -> None:
    """Refuse words that compose but do not do what they seem to say.

    Raises:
        ConfigError: a sweep without -m, or scale=small alone.
    """
    words = dict(word.lstrip("+").split("=", 1) for word in argv if "=" in word)
    if "sweep" in words and not compose.is_multirun(argv):
        raise ConfigError(
            f"sweep={words['sweep']}: a sweep is several runs, so it needs -m: "
            f"pixelrnn train -m sweep={words['sweep']} ..."
        )
    if words.get("scale") == "small" and {"experiment", "sweep", "benchmark"}.isdisjoint(words):
        raise ConfigError(
            "scale=small: of which benchmark? Add experiment=..., sweep=... or benchmark=..."
        )
