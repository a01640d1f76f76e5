"""`pixelrnn train run=runs/...`: a run again, from the configuration in its own folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from pixelrnn.errors import ConfigError, RunError
from pixelrnn.runs import check, record

_MAY_CHANGE = ("folder", "threads")
_TRUSTED = ("pixelrnn.", "torch.optim.", "pytorch_lightning.", "wandb.")


def main(run: str, argv: list[str], train: Callable[..., Any]) -> None:
    """Train what the folder's config.yaml says.

    In its own folder a finished run reports, a half-done one goes on; folder=... trains anew.

    Args:
        run: run folder.
        argv: all words of the command; besides `run` only these that cannot change the result.
        train: the verb.

    Raises:
        ConfigError: another key was given.
        RunError: no such run, or its configuration names what is not ours to call.
    """
    changes = _changes(argv)
    config = record.config(Path(run))
    _check_targets(config, run)
    config = moved(config, changes.pop("folder", None) or str(run)) | changes
    check.check_node(config, "")
    check.check_arguments(train, config, "")
    train(**config)


def moved(config: dict[str, Any], folder: str) -> dict[str, Any]:
    """The configuration with another folder, wherever the old one is named."""
    old = config["folder"]

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
            return folder + value.removeprefix(old)
        return value

    return walk(config)


def _changes(argv: list[str]) -> dict[str, Any]:
    words = dict(word.partition("=")[::2] for word in argv)
    words.pop("run")
    for name in words:
        if name not in _MAY_CHANGE:
            raise ConfigError(
                f"{name}: train run=... takes the run's own configuration; "
                f"only {' and '.join(_MAY_CHANGE)} can be given"
            )
    return {name: yaml.safe_load(value) for name, value in words.items()}


def _check_targets(node: Any, run: str) -> None:
    """A stored configuration is data: it may name networks, optimisers and callbacks, no more."""
    if isinstance(node, list):
        for item in node:
            _check_targets(item, run)
    if isinstance(node, dict):
        target = node.get("_target_")
        if target is not None and not str(target).startswith(_TRUSTED):
            raise RunError(f"{run}/config.yaml: will not call {target}")
        for item in node.values():
            _check_targets(item, run)
