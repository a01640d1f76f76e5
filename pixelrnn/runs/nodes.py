"""Nodes of a configuration: plain dicts whose `_target_` names the class or function to call.

A node is what Hydra calls an instantiable config. `_partial_: true` leaves the call to whoever gets
the object; `_args_` is a list of positional arguments. Names resolve by importing their module.
"""

import functools
import pkgutil
from collections.abc import Callable
from typing import Any

from pixelrnn.errors import ConfigError

Resolve = Callable[[str], Callable[..., Any]]
"""From the text of a `_target_` to what it names."""

_SPECIAL = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")


def locate(target: str) -> Callable[..., Any]:
    """Import what a `_target_` names.

    Raises:
        ConfigError: it cannot be imported, or it cannot be called.
    """
    try:
        found = pkgutil.resolve_name(target)
    except Exception as error:  # whatever an import can raise
        reason = " ".join(str(error).split())
        raise ConfigError(f"_target_={target}: cannot be imported ({reason})") from error
    if not callable(found):
        raise ConfigError(f"_target_={target}: is no class or function")
    return found


def build(node: Any, resolve: Resolve = locate) -> Any:
    """Build the object that a node describes, and all that stand inside it.

    Args:
        node: plain value; a dict without `_target_` and a list stay what they are, with the nodes
            inside them built.
        resolve: finds what a name stands for; the place to refuse names.

    Raises:
        ConfigError: a name cannot be resolved. What a constructor raises comes out as it is.
    """
    if isinstance(node, list):
        return [build(item, resolve) for item in node]
    if not isinstance(node, dict):
        return node
    values = {key: build(value, resolve) for key, value in node.items() if key not in _SPECIAL}
    if "_target_" not in node:
        return values
    target = resolve(node["_target_"])
    positional = build(node.get("_args_", []), resolve)
    if node.get("_partial_"):
        return functools.partial(target, *positional, **values)
    return target(*positional, **values)


def is_node(value: Any) -> bool:
    """Whether a value will be an object, or a list with such, only when it is built."""
    if isinstance(value, list):
        return any(is_node(item) for item in value)
    return isinstance(value, dict) and "_target_" in value
