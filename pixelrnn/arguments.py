"""Argument types and ranges, declared once as annotations and checked from there.

`checked` guards a constructor when it is called; `problems` lists, without calling, what is wrong
with a set of keyword arguments. The command line uses the second, so that a configuration is
checked whole before any work starts, and no schema repeats a signature.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, validate_call
from pydantic.errors import PydanticUserError

_CONFIG = ConfigDict(arbitrary_types_allowed=True)


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd, so that the kernel has a centre")
    return size


Positive = Annotated[int, Field(ge=1)]
OddSize = Annotated[int, Field(ge=1), AfterValidator(_odd)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Workers = Annotated[int, Field(ge=0)]
Levels = Annotated[int, Field(ge=2, le=256)]
ImageShape = tuple[Positive, Positive, Positive]
"""(C, H, W): colours, rows, columns."""

checked = validate_call(config=_CONFIG)
"""Decorator: arguments are checked against the annotations; `pydantic.ValidationError` (a
`ValueError`) says which is wrong."""


def problems(target: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with calling `target` with these keyword arguments: name -> reason.

    Unknown names, missing ones, and values that do not fit the annotation are reported. Parameters
    without an annotation that pydantic can check accept anything.
    """
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    found = {}
    for name, value in arguments.items():
        if name not in named:
            if not open_ended:
                found[name] = "unknown"
            continue
        adapter = _adapter(hints.get(name, Any))
        if adapter is None:
            continue
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            found[name] = _reason(error)
    return found


def accepted_names(target: Callable[..., Any]) -> list[str]:
    """Names of the arguments that `target` can be given by keyword."""
    return [
        name
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # a library's annotation that only its type checker can resolve
        return {}


@functools.lru_cache(maxsize=1024)
def _adapter_cached(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(annotation, config=_CONFIG)
    except PydanticUserError:
        try:
            return TypeAdapter(annotation)
        except PydanticUserError:
            return None


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        return _adapter_cached(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return None


def _reason(error: ValidationError) -> str:
    reasons = []
    for detail in error.errors():
        where = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
        text = detail["msg"].removeprefix("Value error, ")
        reasons.append(f"{where} {text}".strip())
    unique = list(dict.fromkeys(reasons))
    text = "; or ".join(unique)
    return text[0].lower() + text[1:]
