"""What a multirun will do, known before any of its jobs starts."""

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf

from pixelrnn.cli import compose
from pixelrnn.cli.groups import Groups
from pixelrnn.errors import ConfigError

_ENDS = 50
"""Of a key with more values than twice this, only the first and the last ones are checked."""


@dataclass(frozen=True)
class Plan:
    """A multirun.

    Attributes:
        words: the overrides of its first job.
        first: the configuration of its first job, the node `hydra` included.
        swept: key -> its values, as written.
        fixed: keys that are given and do not vary.
        count: the number of jobs of a plain sweep: the product of the numbers of values.
    """

    words: list[str]
    first: DictConfig
    swept: dict[str, str]
    fixed: list[str]
    count: int


def of(words: Sequence[str], check: Callable[[dict[str, Any]], Any]) -> Plan:
    """Compose the first job, and check each value that another job has.

    Every swept value is checked once, beside the first values of all other keys: a sum of checks
    for a product of jobs.

    Args:
        words: overrides.
        check: raises `ConfigError` for a plain configuration that no job can have.

    Raises:
        ConfigError: a job would not compose, or is refused.
    """
    with compose.initialized(words) as groups, compose.explained(words, multirun=True):
        overrides = _overrides(words, groups)
        first_words = {key: _first(override) for key, override in overrides.items()}
        first = compose.job(list(first_words.values()))
        _check(first, check)
        for key, override in overrides.items():
            group = bool(groups.options(override.key_or_group))
            for word in _others(override):
                if group:
                    config = compose.job(list((first_words | {key: word}).values()))
                else:
                    config = _changed(first, word, groups)
                _check(config, check, word)
    sweeps = {k: override for k, override in overrides.items() if override.is_sweep_override()}
    count = 1
    for override in sweeps.values():
        count *= len(_values(override)) or 1
    swept = {key: str(o.input_line).partition("=")[2] for key, o in sweeps.items()}
    fixed = [key for key in overrides if key not in sweeps]
    return Plan(list(first_words.values()), first, swept, fixed, count)


def jobs(words: Sequence[str]) -> list[list[str]]:
    """The overrides of every job of a sweep, in the order in which Hydra starts them.

    Raises:
        ConfigError: the words do not compose, or a search chooses its jobs as it goes.
    """
    with compose.initialized(words) as groups, compose.explained(words, multirun=True):
        overrides = _overrides(words, groups)
    for key, override in overrides.items():
        if isinstance(override.value(), IntervalSweep):
            raise ConfigError(
                f"{key}={str(override.input_line).partition('=')[2]}: a search chooses its values "
                "as it goes; name one of them, such as its costliest"
            )
    choices = [
        [f"{key}={value}" for value in _values(override)] or [str(override.input_line)]
        for key, override in overrides.items()
    ]
    return [list(job) for job in itertools.product(*choices)]


def _overrides(words: Sequence[str], groups: Groups) -> dict[str, Override]:
    """Key -> override; those of the sweeper's configuration first, as Hydra has it."""
    parser = groups.parser()
    typed = parser.parse_overrides(list(words))
    plain = [str(override.input_line) for override in typed if not override.is_sweep_override()]
    try:
        sweeper = compose.job(plain).hydra.sweeper
    except ConfigError as error:
        compose.job([_first(override) for override in typed])  # raises if a job has no such key
        raise ConfigError(
            f"{error}; a choice that varies has this key, but Hydra takes words that do not vary "
            "first: write ++ before the key"
        ) from error
    if sweeper is None:
        raise ConfigError("hydra.sweeper=null: a multirun needs a sweeper; leave the word out")
    params = sweeper.get("params") or {}
    given = parser.parse_overrides([f"{key}={values}" for key, values in params.items()])
    return {override.get_key_element(): override for override in [*given, *typed]}


def _check(config: DictConfig, check: Callable[[dict[str, Any]], Any], word: str = "") -> None:
    try:
        with compose.told(config):
            check(compose.plain(config))
        _check_loaders(config)
    except ConfigError as error:
        if not word or word in str(error):
            raise
        raise ConfigError(f"{word}: {error}") from error


def _check_loaders(config: DictConfig) -> None:
    """Processes of joblib cannot start processes that load data.

    Raises:
        ConfigError: a job would have such.
    """
    launcher = str(OmegaConf.select(config, "hydra.launcher._target_") or "")
    workers = OmegaConf.select(config, "data.num_workers")
    if launcher.endswith(".JoblibLauncher") and workers:
        raise ConfigError(
            f"data.num_workers={workers}: jobs of hydra/launcher=local_joblib cannot start "
            "processes that load data; set data.num_workers=0, or hydra/launcher=local_submitit"
        )


def _changed(first: DictConfig, word: str, groups: Groups) -> DictConfig:
    """The first job's configuration with another value of a key."""
    override = groups.parser().parse_override(word)
    config = copy.deepcopy(first)
    OmegaConf.update(config, override.key_or_group, override.value(), force_add=True)
    return config


def _first(override: Override) -> str:
    """The override as the first job has it."""
    interval = override.value()
    if isinstance(interval, IntervalSweep):
        return f"{override.get_key_element()}={interval.start}"
    values = _values(override)
    return f"{override.get_key_element()}={values[0]}" if values else str(override.input_line)


def _others(override: Override) -> Iterator[str]:
    """The override as other jobs have it."""
    interval = override.value()
    if isinstance(interval, IntervalSweep):
        yield f"{override.get_key_element()}={interval.end}"
        return
    values = _values(override)[1:]
    if len(values) > 2 * _ENDS:
        values = values[:_ENDS] + values[-_ENDS:]
    for value in values:
        yield f"{override.get_key_element()}={value}"


def _values(override: Override) -> list[str]:
    """All values of a swept key as written; none of a key that is not swept, or by an interval."""
    return list(override.sweep_string_iterator()) if override.is_discrete_sweep() else []
