"""Where a run lies: a folder that is named by what it computes.

A composed configuration says `{folder}` wherever the folder is not known yet; whoever names the run
puts the folder in its place.
"""

from typing import Any

FOLDER = "{folder}"
"""Stands for the run's folder in a configuration that has none yet."""


def moved(config: dict[str, Any], folder: str) -> dict[str, Any]:
    """The configuration with another folder, wherever its present one is named.

    Args:
        config: plain; its `folder` is a path, `FOLDER`, or None for the same.
        folder: what to put in its place.
    """
    old = config.get("folder") or FOLDER

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
            return folder + value.removeprefix(old)
        return value

    return {**walk(config), "folder": folder}
