"""`pixelrnn train run=runs/...`: a run again, from the configuration in its own folder."""

from pathlib import Path
from typing import Any

import yaml

from pixelrnn.errors import ConfigError
from pixelrnn.runs import naming, record, upgrade
from pixelrnn.training import run, trust

_MAY_CHANGE = ("folder", "threads")


def plan(folder: str, argv: list[str]) -> run.Plan:
    """The run that a folder's config.yaml describes.

    In its own folder a finished run reports, a half-done one goes on; folder=... trains anew.

    Args:
        folder: run folder.
        argv: all words of the command; besides `run` only these that cannot change the result.

    Raises:
        ConfigError: another key was given.
        RunError: no such run, or its configuration names what is not ours to call.
    """
    changes = _changes(argv)
    config = record.config(Path(folder))
    trust.check(config, trust.RUNS, f"{folder}/config.yaml")
    moved = naming.moved(upgrade.upgraded(config), changes.pop("folder", None) or folder)
    return run.prepare_again(moved | changes)


def _changes(argv: list[str]) -> dict[str, Any]:
    words = dict(word.partition("=")[::2] for word in argv)
    words.pop("run")
    for name in words:
        if name not in _MAY_CHANGE:
            raise ConfigError(
                f"{name}: train run=... takes the run's own configuration; "
                f"only {' and '.join(_MAY_CHANGE)} can be given"
            )
    read = {"folder": str, "threads": yaml.safe_load}
    return {name: read[name](value) for name, value in words.items()}
