"""Verbs that read records and compute nothing: `key=value` words without Hydra, in milliseconds.

Hydra would also take `scale=small` and `sweep=table2` for its groups of these names.
"""

import os
from collections.abc import Callable
from typing import Any

import yaml

from pixelrnn import arguments
from pixelrnn.errors import ConfigError
from pixelrnn.runs import check


def call(verb: Callable[..., Any], argv: list[str], first: str | None = None) -> Any:
    """Check words against the signature of a verb, and call it.

    Args:
        verb: a function of keyword arguments, `paths` among them.
        argv: `key=value` words; paths.runs=FOLDER; --help.
        first: name of the argument that a word without "=" means.

    Raises:
        ConfigError: one line.
    """
    if {"-h", "--help"} & set(argv):
        print(_usage(verb, first))
        return None
    given = {"paths.runs": os.environ.get("PIXELRNN_RUNS", "runs")}
    given |= dict(_word(word, verb, first) for word in argv)
    paths = {"runs": str(given.pop("paths.runs"))}
    check.check_arguments(verb, given, "")
    missing = [name for name, default in _parameters(verb).items() if default is ...]
    for name in missing:
        if name not in given:
            raise ConfigError(f"{name}: must be given, as {name}=...")
    return verb(**given, paths=paths)


def _word(word: str, verb: Callable[..., Any], first: str | None) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    if not equals:
        if first is None or word.startswith("-"):
            raise ConfigError(f"{word}: expected key=value; keys: {', '.join(_keys(verb))}")
        return first, word
    try:
        return name, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{word}: {' '.join(str(error).split())}") from error


def _parameters(verb: Callable[..., Any]) -> dict[str, Any]:
    """Names with their defaults; ... where there is none."""
    defaults = verb.__kwdefaults__ or {}
    names = arguments.accepted_names(verb)
    return {name: defaults.get(name, ...) for name in names if name != "paths"}


def _keys(verb: Callable[..., Any]) -> list[str]:
    return [*_parameters(verb), "paths.runs"]


def _usage(verb: Callable[..., Any], first: str | None) -> str:
    words = [
        f"[{name}={'null' if default is None else default}]"
        if default is not ...
        else f"{name}=..."
        for name, default in _parameters(verb).items()
    ]
    if first is not None:
        words[0] = first.upper()
    about = (verb.__doc__ or "").partition("Raises:")[0].rstrip()
    return f"usage: pixelrnn {verb.__name__} {' '.join(words)} [paths.runs=FOLDER]\n\n{about}"
