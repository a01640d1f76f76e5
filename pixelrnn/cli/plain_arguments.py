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
import os
import textwrap
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

import yaml
from pydantic import TypeAdapter

from pixelrnn import arguments
from pixelrnn.cli import docstrings
from pixelrnn.errors import ConfigError
from pixelrnn.runs import check

HELP = {"-h", "--help"}
ROOTS = {
    "paths.runs": ("PIXELRNN_RUNS", "runs", "folder of all runs"),
    "paths.data": ("PIXELRNN_DATA", "data", "folder of all data sets"),
    "paths.tables": ("PIXELRNN_TABLES", "", "folder of your own tables"),
}
"""Key -> environment variable, default, meaning."""

_WIDTH = 100


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
        print(usage(verb, first))
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
        _unknown(verb, name) if reason == "unknown" else f"{_key(name)}={given[name]}: {reason}"
        for name, reason in problems.items()
    ]
    parameters = _parameters(verb)
    wrong += [
        f"{_key(name)}: must be given, as {_key(name)}=..."
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
    own = map(_key, _parameters(verb))
    return [*own, *(ROOTS if "paths" in inspect.signature(verb).parameters else ())]


def choices(annotation: Any) -> str:
    """What a value may be, in words: "train | val | test", "integer >= 1", "true | false"."""
    try:
        return _choices(TypeAdapter(annotation).json_schema())
    except Exception:  # a type that has no JSON form, such as a Path with validators of its own
        return ""


def usage(verb: Callable[..., Any], first: str | None = None) -> str:
    """Help of a verb: what it does, and one entry for each key with choices and default."""
    described = docstrings.arguments(verb.__doc__)
    hints = typing.get_type_hints(verb, include_extras=True)
    rows = []
    for name, parameter in _parameters(verb).items():
        required = parameter.default is parameter.empty
        shown = f"{_key(name)}={'...' if required else _text(parameter.default)}"
        allowed = choices(hints.get(name, Any))
        text = described.get(name, "").rstrip(".")
        rows.append((shown, f"{text}{f' ({allowed})' if allowed else ''}"))
    if "paths" in inspect.signature(verb).parameters:
        rows += [
            (f"{key}={folder}", f"{text} (environment: {variable})")
            for (key, (variable, _, text)), folder in zip(
                ROOTS.items(), roots().values(), strict=True
            )
        ]
    if "overrides" in inspect.signature(verb).parameters:
        rows.append(("OTHER.KEY=...", described.get("overrides", "").rstrip(".")))
    words = " ".join(
        f"{_key(name)}=..."
        for name, parameter in _parameters(verb).items()
        if parameter.default is parameter.empty and name != first
    )
    start = f"{_key(first).upper()} " if first else ""
    head = f"usage: pixelrnn {verb.__name__} {start}{words}{' ' if words else ''}[key=value ...]"
    return f"{head}\n\n{docstrings.summary(verb.__doc__)}\n\n{table(rows)}"


def table(rows: list[tuple[str, str]], indent: str = "  ") -> str:
    """Two columns of help; a long text goes on below itself."""
    left = min(max((len(name) for name, _ in rows), default=0), 34)
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, _WIDTH - left - len(indent) - 2) or [""]
        if len(name) > left:
            lines.append(f"{indent}{name}")
            name = ""
        lines.append(f"{indent}{name:<{left}}  {wrapped[0]}".rstrip())
        lines += [f"{indent}{'':<{left}}  {line}" for line in wrapped[1:]]
    return "\n".join(lines)


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
                wrong.append(f"{word}: expected key=value; keys: {', '.join(keys(verb))}")
            elif several:
                given.setdefault(first, []).append(word)
            elif first in given:
                wrong.append(f"{word}: {_key(first)} is given already ({given[first]})")
            else:
                given[first] = word
        elif name in ROOTS and "paths" in parameters:
            folders[name] = unquoted(text)
        elif "overrides" in parameters and "." in name and not name.startswith("paths."):
            overrides[name] = unquoted(text) if name == "data.path" else _yaml(text)
        elif several and name == first:
            given.setdefault(first, []).append(unquoted(text))
        else:
            given[name] = _value(text, hints.get(name, Any))
    return given, roots(folders), overrides, wrong


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


def _parameters(verb: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The verb's own keys."""
    return {
        name: parameter
        for name, parameter in inspect.signature(verb).parameters.items()
        if name not in ("paths", "overrides")
    }


def _key(name: str) -> str:
    """The key of a parameter."""
    return name.removesuffix("_")


def _unknown(verb: Callable[..., Any], name: str) -> str:
    if name.startswith("paths."):
        return f"{name}: no such key; choose from {', '.join(ROOTS)}"
    return check.unknown_key(_key(name), keys(verb))


def _choices(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        parts = [_choices(part) for part in schema["anyOf"]]
        return "" if "" in parts else " | ".join(parts)  # any text, or null: the default says so
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        lower, above = schema.get("minimum"), schema.get("exclusiveMinimum")
        bound = f" >= {lower}" if lower is not None else f" > {above}" if above is not None else ""
        return kind + bound
    return {"boolean": "true | false", "null": "null"}.get(str(kind), "")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
