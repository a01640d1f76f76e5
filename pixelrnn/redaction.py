"""Keys, tokens and passwords are written into no file of a run, and printed in no message."""

import os
import re
from collections.abc import Iterator
from typing import Any

HIDDEN = "***"

_NAMES = re.compile(r"(^|[._-])(api_?key|token|password|passwd|secret|authorization)$", re.I)
_VARIABLES = re.compile(r"(_KEY|_TOKEN|_SECRET|PASSWORD|_PASS|CREDENTIALS)$", re.I)
_IN_URL = re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@")
_SHORTEST = 8
"""Characters that the value of a variable must have: shorter ones stand in texts by chance."""


def redacted(text: str) -> str:
    """A text with the passwords of its addresses and the values of secret variables hidden.

    A word KEY=VALUE whose key names a secret is hidden, too.
    """
    text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
    for value in _secret_values().values():
        text = text.replace(value, HIDDEN)
    return " ".join(_word(word) for word in text.split(" "))


def named(config: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of a configuration that hold a secret, by their name or by their value."""
    if isinstance(config, dict):
        for key, value in config.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict | list):
                yield from named(value, f"{name}.")
            elif value is not None and (_NAMES.search(name) or _holds(value)):
                yield name
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from named({str(index): value}, prefix)


def _holds(value: Any) -> bool:
    text = str(value)
    return _IN_URL.search(text) is not None or any(
        secret in text for secret in _secret_values().values()
    )


def _word(word: str) -> str:
    key, equals, value = word.partition("=")
    return f"{key}={HIDDEN}" if equals and value and _NAMES.search(key) else word


def _secret_values() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if _VARIABLES.search(name) and len(value) >= _SHORTEST
    }
