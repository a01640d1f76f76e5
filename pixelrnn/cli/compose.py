"""From words to a plain configuration.

Hydra composes; what it refuses leaves here as one line (`cli/refusals.py`). Nothing is imported
that computes, nothing is checked against a constructor, and nothing stays behind in the process.
"""

import contextlib
import copy
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pixelrnn.cli import command_line, refusals, threads
from pixelrnn.cli.groups import Groups
from pixelrnn.errors import ConfigError
from pixelrnn.results import hydra_groups, rows, shipped
from pixelrnn.runs import naming

TRAIN = "train"
"""The primary configuration, conf/train.yaml."""

_WRONG = (TypeError, AttributeError, LookupError, RecursionError, AssertionError)
"""What Hydra and OmegaConf raise, besides their own errors, for words without a configuration."""

_ONE_AT_A_TIME = threading.RLock()
"""Hydra keeps its state in the process: threads that compose take turns."""


def composed(argv: Sequence[str]) -> dict[str, Any]:
    """The plain configuration of a single run.

    Args:
        argv: overrides such as "model.layers=4", and --config-dir.

    Returns:
        The keys of conf/train.yaml, resolved, not checked yet. A run without a folder says
        `naming.FOLDER` wherever its folder is named.

    Raises:
        ConfigError: one line.
    """
    words = command_line.parsed(list(argv)).words
    with initialized(words):
        config = job(words)
        with told(config):
            return plain(config)


def job(words: Sequence[str]) -> DictConfig:
    """The configuration of one job, the node `hydra` included; within `initialized`.

    Raises:
        ConfigError: one line.
    """
    with explained(words):
        try:
            return hydra.compose(TRAIN, list(words), return_hydra_config=True)
        except _WRONG as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise ConfigError(f"{' '.join(words)}: Hydra cannot compose this ({reason})") from error


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolve everything: a plain dict, not checked yet, without the node `hydra`.

    A run without a folder says `naming.FOLDER` wherever its folder is named.

    Raises:
        ConfigError: one line.
    """
    register_resolvers()
    config = copy.deepcopy(config)
    OmegaConf.set_struct(config, False)
    config.pop("hydra", None)
    if config.get("folder") is None:
        config.folder = naming.FOLDER
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        return cast(dict[str, Any], resolved)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        reason = " ".join(str(error.__cause__ or error).split("\n")[0].split())
        if "Missing mandatory" in reason:
            raise ConfigError(f"{key}: must be given, as {key}=...") from error
        raise ConfigError(f"{key}: {reason}") from error


def register_resolvers() -> None:
    """Let configurations ask for `${share_of_threads:}`, a job's part of the machine."""
    OmegaConf.register_new_resolver("share_of_threads", threads.share, replace=True)


@contextlib.contextmanager
def initialized(words: Sequence[str]) -> Iterator[Groups]:
    """Hydra with our groups, for as long as the block lasts; what it did before is restored.

    Args:
        words: of the command: they may name a folder of the user's own tables.
    """
    with _ONE_AT_A_TIME:
        hydra_groups.register(words)
        before = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with hydra.initialize_config_dir(version_base="1.3", config_dir=str(shipped.conf())):
                yield Groups(GlobalHydra.instance().config_loader(), words)
        finally:
            GlobalHydra.instance().hydra = before


@contextlib.contextmanager
def told(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` answer from a configuration, for as long as the block lasts."""
    state = HydraConfig.instance()
    before = state.cfg
    state.set_config(config)
    try:
        yield
    finally:
        state.cfg = before


@contextlib.contextmanager
def explained(words: Sequence[str], multirun: bool = False) -> Iterator[None]:
    """What Hydra refuses becomes a `ConfigError` of one line that names all wrong words."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        choice = re.search(r"Could not find '\w+/(\w+)_at_(\w+)'", str(error))
        if choice and f"scale={choice[2]}" in words:
            raise _no_such_scale(words, *choice.groups()) from error
        with initialized(words) as groups:
            try:
                line = refusals.line(error, words, groups, multirun)
            except (HydraException, OmegaConfBaseException) as other:  # no group can be looked at
                line = refusals.of_hydra(other)
        raise ConfigError(line) from error
    except ValueError as error:  # Hydra's, where a word gives null or a number to a group
        if "Config group override" not in str(error):
            raise
        with initialized(words) as groups:
            raise ConfigError(refusals.no_names(words, groups)) from error


def _no_such_scale(words: Sequence[str], benchmark: str, scale: str) -> ConfigError:
    """Why the choice `<benchmark>_at_<scale>` does not exist."""
    known = rows.load(rows.own_folder(words)).benchmarks
    if benchmark in known:
        scales = ", scale=".join(known[benchmark].scales)
        return ConfigError(f"scale={scale}: benchmark={benchmark} has only scale={scales}")
    return ConfigError(
        f"scale={scale}: what is to be trained names no benchmark, so there is nothing to scale; "
        "rows of the paper's tables do, or add benchmark=..."
    )
