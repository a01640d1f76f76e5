"""Checks a whole configuration before any work starts, and converts it to the declared types.

Types and ranges are declared once, as annotations of the constructors that `_target_` names, and
checked from there (`arguments.converted`). What was checked is what runs: use what comes back.
"""

import difflib
from collections.abc import Callable
from typing import Any

from pixelrnn import arguments
from pixelrnn.errors import ConfigError
from pixelrnn.runs import nodes

IsOpen = Callable[[str, Any], bool]


def converted(config: Any, path: str, is_open: IsOpen | None = None) -> Any:
    """Check every node of a plain configuration against its constructor.

    Args:
        config: resolved container.
        path: dotted name of the container, for the error text; "" for the whole.
        is_open: says of a key and its value whether it is filled in later; it is not checked then.
            None: no key is.

    Returns:
        The same container with all values converted to the declared types.

    Raises:
        ConfigError: unknown or ill-typed keys, or a target that does not exist.
    """
    if isinstance(config, list):
        return [converted(item, f"{path}[{index}]", is_open) for index, item in enumerate(config)]
    if not isinstance(config, dict):
        return config
    values = {
        key: converted(value, f"{path}.{key}" if path else str(key), is_open)
        for key, value in config.items()
    }
    if "_target_" not in values:
        return values
    given = {
        key: value
        for key, value in values.items()
        if not key.startswith("_")
        and not nodes.is_node(value)
        and not (is_open and is_open(key, value))
    }
    try:
        target = nodes.locate(values["_target_"])
    except ConfigError as error:
        raise ConfigError(f"{path}.{error}") from error
    return values | check_arguments(target, given, path)


def check_arguments(target: Callable[..., Any], given: dict[str, Any], path: str) -> dict[str, Any]:
    """Check plain arguments against a signature.

    Returns:
        The arguments, converted to the declared types and plain.

    Raises:
        ConfigError: one line naming each wrong key, its value and what is allowed.
    """
    values, wrong = arguments.converted(target, given)
    lines = []
    for name, reason in wrong.items():
        key = f"{path}.{name}" if path else name
        if reason == "unknown":
            lines.append(unknown_key(key, arguments.accepted_names(target)))
        else:
            lines.append(f"{key}={given[name]}: {reason}")
    if lines:
        raise ConfigError("; ".join(lines))
    return {name: arguments.plain(value, given[name]) for name, value in values.items()}


def unknown_key(key: str, known: list[str]) -> str:
    """One line about an unknown key, with the nearest known ones."""
    parent, _, name = key.rpartition(".")
    prefix = f"{parent}." if parent else ""
    known = [other for other in known if not other.startswith("_")]
    return f"{key}: no such key; {nearest(name, known, prefix)}"


def nearest(name: str, known: list[str], prefix: str = "") -> str:
    """A hint: the nearest known names, or all of them."""
    if not known:
        return "none can be given here"
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(prefix + other for other in close) + "?"
    return "choose from " + ", ".join(prefix + other for other in sorted(known))
