"""Checks a whole configuration before any work starts.

Types and ranges are declared once, as annotations of the constructors that `_target_` names, and
checked from there (`arguments.problems`); only what spans several nodes is written here.
"""

import difflib
import pkgutil
from collections.abc import Callable
from typing import Any

from pixelrnn import arguments
from pixelrnn.errors import ConfigError


def check_node(config: Any, path: str) -> None:
    """Check every `_target_` in a plain configuration against its constructor.

    Args:
        config: resolved container.
        path: dotted name of the node, for the error text.

    Raises:
        ConfigError: unknown or ill-typed keys, or a target that does not exist.
    """
    if isinstance(config, list):
        for index, item in enumerate(config):
            check_node(item, f"{path}[{index}]")
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        check_node(value, f"{path}.{key}" if path else key)
    if "_target_" in config:
        given = {
            key: value
            for key, value in config.items()
            if not key.startswith("_") and not _is_object(value)
        }
        check_arguments(_locate(config["_target_"], path), given, path)


def check_arguments(target: Callable[..., Any], given: dict[str, Any], path: str) -> None:
    """Check plain arguments against a signature.

    Raises:
        ConfigError: one line naming the key, the value and what is allowed.
    """
    lines = []
    for name, reason in arguments.problems(target, given).items():
        key = f"{path}.{name}" if path else name
        if reason == "unknown":
            lines.append(unknown_key(key, arguments.accepted_names(target)))
        else:
            lines.append(f"{key}={given[name]}: {reason}")
    if lines:
        raise ConfigError("; ".join(lines))


def check_pair(data_image_shape: Any, data_levels: int, model: dict[str, Any]) -> None:
    """The model must take the images that the data are.

    Raises:
        ConfigError: shapes or levels differ.
    """
    if list(model["image_shape"]) != list(data_image_shape):
        raise ConfigError(
            f"model.image_shape={model['image_shape']} but the data are {list(data_image_shape)}: "
            "leave model.image_shape as it is, or change the data"
        )
    if model["levels"] != data_levels:
        raise ConfigError(
            f"model.levels={model['levels']} but the data have {data_levels} levels: "
            "leave model.levels as it is, or change the data"
        )


def check_unmonitored(callbacks: dict[str, dict[str, Any] | None], dataset_id: str) -> None:
    """Without validation images nothing can be monitored.

    Raises:
        ConfigError: names the callbacks that would, and what to set instead.
    """
    monitored = [
        f"callbacks.{name}.monitor=null" if name == "checkpoint" else f"callbacks.{name}=null"
        for name, node in callbacks.items()
        if node and str(node.get("monitor", "")).startswith("val/")
    ]
    if monitored:
        raise ConfigError(f"{dataset_id} has no validation split: set {' '.join(monitored)}")


def unknown_key(key: str, known: list[str]) -> str:
    """One line about an unknown key, with the nearest known ones."""
    parent, _, name = key.rpartition(".")
    prefix = f"{parent}." if parent else ""
    known = [other for other in known if not other.startswith("_")]
    return f"{key}: no such key; {nearest(name, known, prefix)}"


def nearest(name: str, known: list[str], prefix: str = "") -> str:
    """A hint: the nearest known names, or all of them."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(prefix + other for other in close) + "?"
    return "choose from " + ", ".join(prefix + other for other in sorted(known))


def _is_object(value: Any) -> bool:
    """True for what will be an object only when it is instantiated."""
    if isinstance(value, list):
        return any(_is_object(item) for item in value)
    return isinstance(value, dict) and "_target_" in value


def _locate(target: str, path: str) -> Callable[..., Any]:
    try:
        return pkgutil.resolve_name(target)
    except Exception as error:  # whatever an import can raise
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}._target_={target}: cannot be imported ({reason})") from error
