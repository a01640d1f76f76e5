"""What a verb's signature says: its keys, and the folders that all verbs share."""

import inspect
import os
from collections.abc import Callable
from typing import Any

ROOTS = {
    "paths.runs": ("PIXELRNN_RUNS", "runs", "folder of all runs"),
    "paths.data": ("PIXELRNN_DATA", "data", "folder of all data sets"),
    "paths.tables": ("PIXELRNN_TABLES", "", "folder of your own tables"),
}
"""Key -> environment variable, default, meaning."""


def roots(given: dict[str, str] | None = None) -> dict[str, str]:
    """Folders of runs and data: as given by `paths.*`, else from the environment, else the default.

    Args:
        given: "paths.runs" and "paths.data" -> folder.
    """
    return {
        key.removeprefix("paths."): (given or {}).get(key) or os.environ.get(variable) or default
        for key, (variable, default, _) in ROOTS.items()
    }


def keys(verb: Callable[..., Any]) -> list[str]:
    """All keys that a verb takes, those of `paths` included."""
    own = map(key, parameters(verb))
    return [*own, *(ROOTS if "paths" in inspect.signature(verb).parameters else ())]


def parameters(verb: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The verb's own keys."""
    return {
        name: parameter
        for name, parameter in inspect.signature(verb).parameters.items()
        if name not in ("paths", "overrides", "words")
    }


def key(name: str) -> str:
    """The key of a parameter."""
    return name.removesuffix("_")
