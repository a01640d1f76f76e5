"""The parser of `key=value` for every verb that is not Hydra's, and its help.

A verb is a function of keyword arguments: its signature names the keys with types, ranges and
defaults, its docstring explains them. So a module of a verb imports what computes inside the
verb's body: keys are refused, and help is printed, within milliseconds.

    def sample(*, run: RunPath, n: Positive = 64, paths: dict[str, str]) -> None: ...
    plain_arguments.call(sample, ["run=runs/lr=0.1,h=3 (a)", "n=4"])

Two parameters are special. `paths` is given the roots of runs and data, which the user sets by
paths.runs=FOLDER and paths.data=FOLDER. `overrides`, where a verb has it, takes all other dotted
keys, such as data.binarize=dynamic. A key that is a word of Python, such as `in`, is a parameter
with an underscore behind it.
"""

import inspect
import keyword
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

import yaml

from pixelrnn import arguments
from pixelrnn.cli import signatures, usage
from pixelrnn.errors import ConfigError
from pixelrnn.runs import check

HELP = {"-h", "--help"}


def call(verb: Callable[..., Any], argv: list[str], first: str | None = None) -> Any:
    """Check words against the signature of a verb, and call it with the converted values.

    Args:
        verb: a function of keyword arguments.
        argv: `key=value` words, or --help.
        first: name of the argument that words without "=" mean; where it is a list, there may be
            several.

    Returns:
        What the verb returns; None after help.

    Raises:
        ConfigError: one line that names all wrong keys and values.
    """
    if HELP & set(argv):
        print(usage.usage(verb, first))
        return None
    return verb(**parsed(verb, argv, first))


def parsed(verb: Callable[..., Any], argv: list[str], first: str | None = None) -> dict[str, Any]:
    """The arguments that words give to a verb, converted, `paths` and `overrides` included.

    Raises:
        ConfigError: one line that names all wrong keys and values.
    """
    given, paths, overrides, wrong = _read(verb, argv, first)
    values, problems = arguments.converted(verb, given)
    wrong += [
        _unknown(verb, name)
        if reason == "unknown"
        else f"{signatures.key(name)}={given[name]}: {reason}"
        for name, reason in problems.items()
    ]
    parameters = signatures.parameters(verb)
    wrong += [
        f"{signatures.key(name)}: must be given, as {signatures.key(name)}=..."
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in given
    ]
    if wrong:
        raise ConfigError("; ".join(wrong))
    special = inspect.signature(verb).parameters
    if "paths" in special:
        values["paths"] = paths
    if "overrides" in special:
        values["overrides"] = overrides
    return values


def _read(
    verb: Callable[..., Any], argv: list[str], first: str | None
) -> tuple[dict[str, Any], dict[str, str], dict[str, Any], list[str]]:
    """Sort words into arguments, roots and overrides; the last list says what is no word."""
    parameters = inspect.signature(verb).parameters
    hints = typing.get_type_hints(verb, include_extras=True)
    several = first is not None and typing.get_origin(_bare(hints[first])) in (list, tuple)
    given: dict[str, Any] = {}
    folders: dict[str, str] = {}
    overrides: dict[str, Any] = {}
    wrong = []
    for word in argv:
        name, equals, text = word.partition("=")
        name = f"{name}_" if keyword.iskeyword(name) else name
        if not equals or name.startswith("-"):
            if first is None or word.startswith("-"):
                known = ", ".join(signatures.keys(verb))
                wrong.append(f"{word}: expected key=value; keys: {known}")
            elif several:
                given.setdefault(first, []).append(word)
            elif first in given:
                wrong.append(f"{word}: {signatures.key(first)} is given already ({given[first]})")
            else:
                given[first] = word
        elif name in signatures.ROOTS and "paths" in parameters:
            folders[name] = unquoted(text)
        elif "overrides" in parameters and "." in name and not name.startswith("paths."):
            overrides[name] = unquoted(text) if name == "data.path" else _yaml(text)
        elif several and name == first:
            given.setdefault(first, []).append(unquoted(text))
        else:
            given[name] = _value(text, hints.get(name, Any))
    return given, signatures.roots(folders), overrides, wrong


def unquoted(text: str) -> str:
    """Text without one pair of quotes around it: what a user typed, taken literally."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _value(text: str, annotation: Any) -> Any:
    """Text stays text where the annotation takes text; anything else is read as YAML."""
    kinds = _kinds(annotation)
    if type(None) in kinds and text in ("null", "None", ""):
        return None
    return unquoted(text) if str in kinds else _yaml(text)


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # the annotation refuses it, and says what it wants


def _kinds(annotation: Any) -> set[type]:
    """Types that a value may have, with `Annotated`, unions and literals taken apart."""
    annotation = _bare(annotation)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_kinds(part) for part in typing.get_args(annotation)))
    if origin is Literal:
        return {type(value) for value in typing.get_args(annotation)}
    return {annotation} if isinstance(annotation, type) else set()


def _bare(annotation: Any) -> Any:
    """The type below `Annotated`; of an optional list, the list."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _unknown(verb: Callable[..., Any], name: str) -> str:
    if name.startswith("paths."):
        return f"{name}: no such key; choose from {', '.join(signatures.ROOTS)}"
    return check.unknown_key(signatures.key(name), signatures.keys(verb))
