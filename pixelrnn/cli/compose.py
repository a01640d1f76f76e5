"""From the command line to a checked, plain configuration.

Hydra composes; a wrong key, choice or value leaves it as a one-line `ConfigError`.
"""

import contextlib
import copy
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pixelrnn.cli import threads
from pixelrnn.errors import ConfigError, PixelRNNError
from pixelrnn.results import hydra_groups
from pixelrnn.runs import check, naming

FLAGS = ("-m", "--multirun")

_EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "slurm",
    "submitit_slurm": "slurm",
    "ray": "ray",
    "optuna": "optuna",
}
"""Hydra's plugins -> which of our extras brings them."""


def conf_dir() -> Path:
    """The configuration folder: in the installed package, or in the checkout beside it."""
    package = Path(__file__).parent.parent
    for folder in (package / "conf", package.parent / "conf"):
        if folder.is_dir():
            return folder
    raise ConfigError(f"no conf folder in {package} or {package.parent}: reinstall pixelrnn")


def run(config_name: str, task: Callable[[DictConfig], None], argv: list[str]) -> None:
    """Compose a configuration from `argv` and run the task on it, or a multirun of tasks.

    Args:
        config_name: primary config of the verb.
        task: what to do with it; a function of a module, so that launchers can send it elsewhere.
        argv: overrides and Hydra's flags.

    Raises:
        ConfigError: Hydra could not compose.
    """
    refused: list[PixelRNNError] = []
    hydra_groups.register(argv)

    @functools.wraps(task)
    def alone(config: DictConfig) -> None:
        try:  # Hydra would print a line of its own about a job that raises
            task(config)
        except PixelRNNError as error:
            refused.append(error)

    multirun = is_multirun(argv)
    if multirun:  # Hydra would refuse the flag between overrides
        argv = ["--multirun", *(word for word in argv if word not in FLAGS)]
    decorated = hydra.main(
        version_base="1.3", config_path=str(conf_dir()), config_name=config_name
    )(task if multirun else alone)
    with _as_program(config_name, argv), clear_errors(config_name, argv):
        decorated()
    if refused:
        raise refused[0]


def is_multirun(argv: list[str]) -> bool:
    """Whether Hydra is asked for more than one job."""
    return not {*FLAGS, "hydra.mode=MULTIRUN"}.isdisjoint(argv)


def word(key: str, text: str) -> str:
    """An override that gives a key this very text."""
    quoted = text.replace("'", "\\'")
    return f"{key}='{quoted}'"


@contextlib.contextmanager
def _as_program(verb: str, argv: list[str]) -> Iterator[None]:
    """Let Hydra see our arguments, and raise instead of printing."""
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"pixelrnn {verb}", *argv]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before[0]
        if before[1] is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before[1]


@contextlib.contextmanager
def clear_errors(config_name: str, argv: list[str]) -> Iterator[None]:
    """What Hydra refuses becomes a `ConfigError` of one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_one_line(error, config_name, argv)) from error


def _one_line(error: Exception, config_name: str, argv: list[str]) -> str:
    text = str(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not an override ({text.splitlines()[0]})"
    plugin = re.search(r"Could not (?:find|load) '(hydra/\w+)/(\w+)'", text)
    if plugin and plugin.group(2) in _EXTRAS:
        group, name = plugin.groups()
        return f"{group}: {name} is missing; pip install 'pixelrnn[{_EXTRAS[name]}]'"
    choice = re.search(
        r"Could not find '([^']+)'\s+Available options in '([^']+)':\s*(.*)", text, re.S
    )
    if choice:
        name, group, options = choice.groups()
        wrong = name.removeprefix(f"{group}/")
        hint = check.nearest(wrong, options.split(), f"{group}=")
        return f"{group}={wrong}: no such choice; {hint}"
    group = re.search(r"Could not override '([^'@]+)'[^\n]*\nNo match in the defaults list", text)
    if group:
        return check.unknown_key(group.group(1), _known(config_name, argv, ""))
    key = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    if key and ("not in struct" in text or "Could not override" in text):
        parent = key.group(1).rpartition(".")[0]
        return check.unknown_key(key.group(1), _known(config_name, argv, parent))
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing.group(1)}: must be given, as {missing.group(1)}=..."
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _known(config_name: str, argv: list[str], parent: str) -> list[str]:
    """The keys below a dotted name, with the choices of groups that `argv` makes."""
    choices = []
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        parser = OverridesParser.create()
        for word in argv:
            if word.startswith("-"):
                continue
            with contextlib.suppress(HydraException):
                override = parser.parse_override(word)
                plain = "." not in override.key_or_group and not override.is_sweep_override()
                if plain and (conf_dir() / override.key_or_group).is_dir():
                    choices.append(word)
        try:
            config = hydra.compose(config_name, choices)
        except HydraException:
            config = hydra.compose(config_name)
    node = OmegaConf.select(config, parent) if parent else config
    return [str(key) for key in node] if isinstance(node, DictConfig) else []


def register_resolvers() -> None:
    """The functions that configurations may call: `${share_of_threads:}` asks the launcher."""
    OmegaConf.register_new_resolver("share_of_threads", threads.share, replace=True)


def plain(config: DictConfig) -> dict[str, Any]:
    """Resolve everything: a plain dict, not checked yet.

    A run without a folder says `naming.FOLDER` wherever its folder is named.

    Raises:
        ConfigError: one line.
    """
    register_resolvers()
    if "folder" in config and config.folder is None:
        config = copy.deepcopy(config)
        config.folder = naming.FOLDER
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        reason = " ".join(str(error.__cause__ or error).split("\n")[0].split())
        if "Missing mandatory" in reason:
            raise ConfigError(f"{key}: must be given, as {key}=...") from error
        raise ConfigError(f"{key}: {reason}") from error


def call(verb: Callable[..., Any], config: DictConfig) -> Any:
    """Check a configuration against the signature of its verb, and call it.

    Raises:
        ConfigError: one line.
    """
    return verb(**check.check_arguments(verb, plain(config), ""))
