"""Reads YAML and JSON that somebody else may have written: plain values, of a bounded size.

A few lines of YAML can stand for billions of values (each alias doubles the one before), or for a
value that contains itself, and whoever walks through those never ends. So what a file stands for is
counted before anybody walks through it.
"""

import json
from pathlib import Path
from typing import Any

import yaml

LARGEST_FILE = 16 << 20
"""Bytes that a file may have."""

LARGEST_CONTENT = 200_000
"""Values that a file may stand for, with every alias written out."""

DEEPEST = 64
"""Levels of nesting."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = (str, int, float, bool, type(None))


def yaml_of(path: Path) -> Any:
    """Content of a YAML file; nothing but plain values is made.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no YAML, holds other than plain values, or is too large; one line.
    """
    try:
        content = yaml.load(_read(path), _LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    return plain(content)


def json_of(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, or too large; one line.
    """
    try:
        return plain(json.loads(_read(path)))
    except RecursionError as error:
        raise ValueError(" ".join(str(error).split())) from error


def plain(content: Any) -> Any:
    """The content itself, if it is of plain values and of a bounded size.

    Args:
        content: dicts, lists and whatever stands in them; a part may stand at several places.

    Raises:
        ValueError: one line about what else is in it, or what is too large.
    """
    count, waiting = 0, [(content, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
        if count > LARGEST_CONTENT:
            raise ValueError(f"it stands for more than {LARGEST_CONTENT:,} values")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise ValueError(f"the key {key!r} is no text")
            waiting += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            waiting += [(item, depth + 1) for item in value]
        elif not isinstance(value, _PLAIN):
            raise ValueError(f"{value!r} is no plain value but of the type {type(value).__name__}")
    return content


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    return content
