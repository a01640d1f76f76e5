"""A search by Optuna that survives: the same command finds the same study, and does what is left.

What counts as done is a trial with a value. A trial that failed, or was running when the search was
killed, has none: its values are tried again, so that its run is resumed by its signature.
"""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from pixelrnn.cli import command_line, refusals
from pixelrnn.cli.multirun import plans
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.runs.signature import signature as signature_of


@dataclass(frozen=True)
class Search:
    """A stored study.

    Attributes:
        study: of Optuna.
        wanted: how many complete trials.
    """

    study: Any
    wanted: int

    def left(self) -> int:
        """How many trials are to be done."""
        return max(0, self.wanted - self._complete())

    def words(self) -> list[str]:
        """Overrides that let Hydra's sweeper do what is left."""
        return [
            f"hydra.sweeper.n_trials={self.left()}",
            command_line.quoted("hydra.sweeper.study_name", self.study.study_name),
        ]

    def line(self) -> str:
        """How far it is, and the best trial."""
        done = self._complete()
        line = f"search {self.study.study_name}: {done} trials complete, {self.left()} left"
        if not done:
            return line
        best = self.study.best_trial
        values = " ".join(f"{key}={value}" for key, value in best.params.items())
        return f"{line}\n  best: trial {best.number}, {best.value:.6g}: {values}"

    def _complete(self) -> int:
        return sum(trial.state.name == "COMPLETE" for trial in self.study.trials)


@contextlib.contextmanager
def of(plan: plans.Plan) -> Iterator[Search | None]:
    """The study of a multirun, ours alone for as long as the block lasts.

    Args:
        plan: what is searched.

    Yields:
        The search; None if the sweeper stores no study.

    Raises:
        ConfigError: the storage cannot be opened, or its study is of another search.
        RunError: another process is at it.
    """
    sweeper = plan.first.hydra.sweeper
    if not sweeper.get("storage"):
        yield None
        return
    signature = _signature(plan)
    notes = Path(plan.first.paths.runs) / ".sweep"
    notes.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(notes / f"{signature}.lock", timeout=0):
            study = _open(sweeper, plan.first.sweep_name or "search", signature)
            yield Search(study, int(sweeper.n_trials))
    except Timeout as error:
        raise RunError(f"search {signature}: another process is at it") from error


def again(trials: list[Any]) -> list[dict[str, Any]]:
    """The values of trials that were killed or failed, where no later trial made up for it.

    Args:
        trials: of a study that nobody is working on.
    """
    made_up = [_values(trial) for trial in trials if trial.state.name in ("COMPLETE", "WAITING")]
    found: list[dict[str, Any]] = []
    for trial in trials:
        values = _values(trial)
        if trial.state.name in ("RUNNING", "FAIL") and values and values not in made_up + found:
            found.append(values)
    return found


def _values(trial: Any) -> dict[str, Any]:
    """What a trial tries; of a queued one, what it will."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _signature(plan: plans.Plan) -> str:
    """Of what is searched, where, and by which measure; not of how long."""
    config = refusals.unresolved(plan.first)
    hydra = config.pop("hydra")
    direction = str(hydra["sweeper"]["direction"])
    return signature_of({**config, "search": {"swept": plan.swept, "direction": direction}})


def _open(sweeper: DictConfig, label: str, signature: str) -> Any:
    """Open a study or begin it; no trial is left running, and what has no value is queued."""
    import optuna  # an extra

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = sweeper.study_name or f"{label}-{signature}"
    direction = getattr(sweeper.direction, "name", sweeper.direction)
    if direction not in ("minimize", "maximize"):
        raise ConfigError(f"hydra.sweeper.direction={direction}: choose minimize or maximize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # queueing was an experiment in Optuna 2
        try:
            study = optuna.create_study(
                study_name=name,
                storage=sweeper.storage,
                direction=direction,
                load_if_exists=True,
            )
            known = study.user_attrs.get("signature", None if study.trials else signature)
        except Exception as error:  # whatever a database can raise
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ConfigError(
                f"hydra.sweeper.storage={sweeper.storage}: cannot be opened ({reason})"
            ) from error
        if known != signature:
            raise ConfigError(
                f"hydra.sweeper.study_name={name}: holds another search; choose another name"
            )
        study.set_user_attr("signature", signature)
        queue = again(study.trials)
        for trial in study.trials:
            if trial.state.name == "RUNNING":
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        for values in queue:
            study.enqueue_trial(values)
    return study
