"""Objects that can say how to make them again, as a plain dict that a file can hold."""

import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


class Described:
    """Base of classes whose objects remember the arguments that they were made with.

    A subclass does nothing for it. Arguments must be plain values, dataclasses, or described
    themselves; otherwise the object has no description.
    """

    _description: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Note the arguments, before the constructor checks them."""
        made = super().__new__(cls)
        try:
            given = inspect.signature(cls).bind(*args, **kwargs).arguments
            made.__dict__["_description"] = _node(cls, given)
        except (
            TypeError
        ):  # wrong arguments, which the constructor refuses, or one that is not plain
            made.__dict__["_description"] = None
        return made

    def description(self) -> dict[str, Any] | None:
        """A node with `_target_` that makes such an object again (weights excluded), or None."""
        return self._description


def _node(kind: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: plain(value) for name, value in arguments.items()}
    return {"_target_": f"{kind.__module__}.{kind.__qualname__}", **named}


def plain(value: Any) -> Any:
    """A value as a YAML file can hold it.

    Raises:
        TypeError: it has no plain form.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Described) and value.description() is not None:
        return value.description()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return _node(type(value), {field.name: getattr(value, field.name) for field in fields})
    raise TypeError(f"{type(value).__name__} has no plain form")
