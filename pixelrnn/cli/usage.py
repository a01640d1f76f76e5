"""The help of a verb, from its signature and its docstring."""

import inspect
import textwrap
import typing
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from pixelrnn.cli import docstrings, signatures

_WIDTH = 100


def usage(verb: Callable[..., Any], first: str | None = None) -> str:
    """Help of a verb: what it does, and one entry for each key with choices and default."""
    described = docstrings.arguments(verb.__doc__)
    hints = typing.get_type_hints(verb, include_extras=True)
    rows = []
    for name, parameter in signatures.parameters(verb).items():
        required = parameter.default is parameter.empty
        shown = f"{signatures.key(name)}={'...' if required else _text(parameter.default)}"
        allowed = choices(hints.get(name, Any))
        text = described.get(name, "").rstrip(".")
        rows.append((shown, f"{text}{f' ({allowed})' if allowed else ''}"))
    if "paths" in inspect.signature(verb).parameters:
        rows += [
            (f"{key}={folder}", f"{text} (environment: {variable})")
            for (key, (variable, _, text)), folder in zip(
                signatures.ROOTS.items(), signatures.roots().values(), strict=True
            )
        ]
    if "overrides" in inspect.signature(verb).parameters:
        rows.append(("OTHER.KEY=...", described.get("overrides", "").rstrip(".")))
    if "words" in inspect.signature(verb).parameters:
        rows.append(("OTHER=...", described.get("words", "").rstrip(".")))
    words = " ".join(
        f"{signatures.key(name)}=..."
        for name, parameter in signatures.parameters(verb).items()
        if parameter.default is parameter.empty and name != first
    )
    start = f"{signatures.key(first).upper()} " if first else ""
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


def choices(annotation: Any) -> str:
    """What a value may be, in words: "train | val | test", "integer >= 1", "true | false"."""
    try:
        return _choices(TypeAdapter(annotation).json_schema())
    except Exception:  # a type that has no JSON form, such as a Path with validators of its own
        return ""


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
    if isinstance(value, tuple):
        return str(list(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
