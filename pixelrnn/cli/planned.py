"""The runs that `pixelrnn plan` is asked about, what they cost, and what is left of them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from pixelrnn import cores
from pixelrnn.cli import command_line, compose, questions, train
from pixelrnn.cli.multirun import plans
from pixelrnn.errors import ConfigError
from pixelrnn.results import progress

if TYPE_CHECKING:
    from pixelrnn.training.costs import Costs
    from pixelrnn.training.forecast import Forecast
    from pixelrnn.training.preparation import PreparedRun

_MULTIRUN = ("-m", "--multirun")


@dataclass(frozen=True)
class Job:
    """A run that is planned.

    Attributes:
        name: the words by which it differs from the other jobs, or its label.
        setting: what jobs that cost the same have in common.
        prepared: as `pixelrnn train` would prepare it.
        done: optimiser steps done already.
        costs: of its parts; None where nothing is left to do, or `trouble` says why.
        steps: of its whole training, if nothing ends it early.
        left: what is still to come.
        at_most: whether a callback may end it earlier.
        trouble: why it cannot run here; empty if it can.
    """

    name: str
    setting: str
    prepared: "PreparedRun"
    done: int = 0
    costs: "Costs | None" = None
    steps: int | None = None
    left: "Forecast | None" = None
    at_most: bool = False
    trouble: str = ""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.prepared.record is not None and not self.prepared.unevaluated

    @property
    def state(self) -> str:
        """How far it is; empty if it is not begun."""
        if self.prepared.record is not None:
            return "finished" if self.finished else "not evaluated"
        return f"at step {self.done:,}" if self.done else ""


@dataclass(frozen=True)
class Sweep:
    """All jobs of a command, in the order in which they would run.

    Attributes:
        jobs: at least one.
        shared: the words that all of them have.
        launcher: Hydra's choice, such as "local_joblib".
        at_once: how many the launcher runs at a time.
        here: whether it runs them on this machine.
    """

    jobs: list[Job]
    shared: str
    launcher: str
    at_once: int
    here: bool


def sweep(words: Sequence[str]) -> Sweep:
    """Prepare the runs that words describe as `pixelrnn train` would; nothing is written.

    Args:
        words: what would stand after `pixelrnn train`; `sweep=...` needs no -m here.

    Raises:
        ConfigError: a word is wrong.
        DataError: a run's data are the user's own files, and cannot be read.
        RunError: a run's folder holds another run.
    """
    if not any(word in _MULTIRUN or word.startswith("sweep=") for word in words):
        if questions.asked(command_line.parsed(list(words))):
            raise ConfigError(
                f"{' '.join(words)}: pixelrnn plan takes no flags but -m and --config-dir"
            )
        prepared = train.prepared(list(words))
        job = _job(str(prepared.config["label"]), " ".join(words), prepared)
        return Sweep([job], shared="", launcher="basic", at_once=1, here=True)
    command = command_line.parsed([*words, "-m"])
    train.check_words(command)
    plans.of(command.words, train.check)  # what any job would refuse is refused first
    lists = plans.jobs(command.words)
    alike = set.intersection(*map(set, lists))
    from pixelrnn.training import preparation  # takes seconds: a wrong word is refused before

    jobs = []
    for job_words in lists:
        config, composed = _composed(job_words)
        name = " ".join(word for word in job_words if word not in alike) or str(config["label"])
        setting = " ".join(word for word in job_words if not word.startswith("seed="))
        jobs.append(_job(name, setting, preparation.prepare(config)))
    launcher = composed.hydra.launcher
    target = str(launcher.get("_target_"))
    chosen = str(composed.hydra.runtime.choices["hydra/launcher"])
    return Sweep(
        jobs,
        shared=" ".join(word for word in lists[0] if word in alike),
        launcher=chosen,
        at_once=_at_once(launcher, target, len(jobs)),
        here="slurm" not in target.lower() and chosen != "ray_cluster",
    )


def _composed(words: Sequence[str]) -> tuple[dict[str, Any], DictConfig]:
    """The plain configuration of a job, and as Hydra made it."""
    with compose.initialized(words):
        composed = compose.job(words)
        with compose.told(composed):
            return compose.plain(composed), composed


def _job(name: str, setting: str, prepared: "PreparedRun") -> Job:
    """A prepared run, and how many steps of it are done."""
    done = 0
    if prepared.record is None and (prepared.folder / "checkpoints" / "last.ckpt").is_file():
        done = progress.of(prepared.folder, prepared.config).steps or 0
    return Job(name, setting, prepared, done)


def _at_once(launcher: DictConfig, target: str, jobs: int) -> int:
    """How many jobs a launcher runs at a time, by the keys of those that we configure."""
    share = OmegaConf.select(launcher, "ray.remote.num_cpus")
    count = launcher.get("n_jobs") or launcher.get("array_parallelism")
    if share:
        count = cores.available() // share
    elif count is None:  # submitit on this machine starts all of them, Hydra's own one by one
        count = 1 if "BasicLauncher" in target else jobs
    return max(1, min(cores.available() if count < 0 else int(count), jobs))


def measured(found: Sweep, steps: int, seconds: float, told: Callable[[int, int], None]) -> Sweep:
    """Measure each setting once, as many at a time as the sweep would run here.

    Args:
        found: the jobs.
        steps: see `costs.measured`.
        seconds: see `costs.measured`.
        told: is called with how many settings are measured, and of how many.
    """
    settings = {job.setting: job for job in reversed(found.jobs) if not job.finished}
    outcomes: dict[str, Costs | str] = {}

    def measure(job: Job) -> None:
        outcomes[job.setting] = _costs(job, steps, seconds, at_once)
        told(len(outcomes), len(settings))

    at_once = min(found.at_once, cores.available()) if found.here else 1
    told(0, len(settings))
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(measure, list(settings.values())[::-1]))
    return replace(found, jobs=[_left(job, outcomes.get(job.setting)) for job in found.jobs])


def _costs(job: Job, steps: int, seconds: float, at_once: int) -> "Costs | str":
    """What a job's parts cost, or why it cannot run here."""
    from pixelrnn.training import costs

    free = costs.free_memory()
    share = None if free is None else free // at_once
    try:
        return costs.measured(job.prepared.config, steps, seconds, share)
    except MemoryError as error:
        room = "" if share is None else f": {share / 2**30:.1f} GiB of it are free for a run"
        return f"does not fit into this machine's memory, or not beside others{room} ({error})"
    except (ConfigError, RuntimeError) as error:
        return str(error)


def _left(job: Job, outcome: "Costs | str | None") -> Job:
    from pixelrnn.training import forecast

    if job.finished or outcome is None:
        return job
    if isinstance(outcome, str):
        return replace(job, trouble=outcome)
    schedule = forecast.schedule(job.prepared.config, outcome)
    trained = job.prepared.record is not None
    if schedule.steps is None and not trained:
        trouble = "how many steps it takes is not known: set trainer.max_steps"
        return replace(job, costs=outcome, trouble=trouble)
    return replace(
        job,
        costs=outcome,
        steps=schedule.steps,
        left=forecast.left(
            schedule,
            outcome,
            job.prepared.unevaluated,
            (schedule.steps or 0) if trained else job.done,
        ),
        at_most=schedule.ends_early and not trained,
    )


def total(found: Sweep) -> tuple[float, float]:
    """Seconds of all jobs that can run: one after the other, and as the launcher runs them.

    Where it runs them on this machine, no more count as running than have threads of their own.
    """
    from pixelrnn.training import forecast

    seconds = [job.left.seconds for job in found.jobs if job.left]
    costs = [job.costs for job in found.jobs if job.costs]
    if not seconds:
        return 0.0, 0.0
    at_once = found.at_once
    if found.here:
        threads = max(one.threads for one in costs)
        at_once = max(1, min(at_once, cores.available() // threads))
    imports = max(one.imports for one in costs)
    return imports + sum(seconds), imports + forecast.makespan(seconds, at_once)
