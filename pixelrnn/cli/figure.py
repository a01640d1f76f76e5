"""`pixelrnn figure KIND run=runs/...`: a picture of what a model has learnt."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixelrnn.cli import docstrings, figures, plain_arguments
from pixelrnn.errors import ConfigError
from pixelrnn.runs import check

KINDS = sorted(module.name for module in pkgutil.iter_modules(figures.__path__))
"""The names of the files in `figures`."""

_USAGE = """usage: pixelrnn figure KIND run=... [key=value ...]

Draw a figure of a run: figures/KIND.png in its folder, or out=PATH.

{kinds}

`pixelrnn figure KIND --help` explains the keys of a kind."""


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    if not argv or argv[0] in plain_arguments.HELP:
        print(usage())
        return
    verb = figure(argv[0])
    several = typing.get_origin(inspect.signature(verb).parameters["run"].annotation) is tuple
    plain_arguments.call(verb, argv[1:], first="run" if several else None)


def usage() -> str:
    """Help of the verb: what kinds there are."""
    width = max(map(len, KINDS))
    lines = [f"  {name:<{width}}  {_about(name)}" for name in KINDS]
    return _USAGE.format(kinds="\n".join(lines))


def figure(kind: str) -> Callable[..., Path]:
    """Make the verb that draws a kind of figure; its keys are those of the kind.

    Args:
        kind: one of `KINDS`.

    Returns:
        A function of keyword arguments, which writes the picture and returns its path.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"{kind}: no such figure; {check.nearest(kind, KINDS)}")
    draw: Callable[..., Any] = getattr(importlib.import_module(f"{figures.__name__}.{kind}"), kind)
    first, *own = inspect.signature(draw).parameters.values()
    shared: type = first.annotation

    def verb(**values: Any) -> Path:
        names = {field.name for field in dataclasses.fields(shared)}
        given = shared(**{name: item for name, item in values.items() if name in names})
        path: Path = given.target(kind)
        drawn = draw(given, **{name: item for name, item in values.items() if name not in names})
        given.finish(drawn, kind, path)
        return path

    _describe(verb, kind, draw, own, shared)
    return verb


def _describe(
    verb: Any, kind: str, draw: Callable[..., Any], own: list[inspect.Parameter], shared: type
) -> None:
    """Give a verb the signature and the help of a kind, the keys that kinds share at the end.

    Args:
        verb: the function that gets them.
        kind: its name.
        draw: the function of the kind.
        own: keys of the kind.
        shared: class of the keys that it shares with others.
    """
    order = list(docstrings.arguments(shared.__doc__))
    given = inspect.signature(shared).parameters.values()
    keys = sorted(given, key=lambda key: order.index(key.name))
    required = [key for key in keys if key.default is key.empty]
    others = [key for key in keys if key.default is not key.empty]
    texts = {**docstrings.arguments(draw.__doc__), **docstrings.arguments(shared.__doc__)}
    parameters = [*required, *own, *others]
    entries = [f"    {key.name}: {texts[key.name]}" for key in parameters]
    verb.__name__ = f"figure {kind}"
    verb.__doc__ = "\n".join([docstrings.summary(draw.__doc__), "", "Args:", *entries])
    verb.__signature__ = inspect.Signature(parameters)
    verb.__annotations__ = {key.name: key.annotation for key in parameters}


def _about(kind: str) -> str:
    """The first line of a kind's file."""
    module = importlib.import_module(f"{figures.__name__}.{kind}")
    return (module.__doc__ or "").splitlines()[0].rstrip(".")
