"""Argument types and ranges, declared once as annotations and checked from there.

`checked` guards a constructor when it is called. `converted` checks and converts keyword arguments
without calling anything: a configuration is checked whole before any work starts, what was checked
is what runs, and no schema repeats a signature.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, validate_call
from pydantic.errors import PydanticUserError

_CONFIG = ConfigDict(arbitrary_types_allowed=True)


def _above_zero(temperature: float) -> float:
    if not temperature > 0:
        raise ValueError(
            "input should be greater than 0: the logits are divided by it (1 draws from the model; "
            "0.01 nearly always takes the most likely value)"
        )
    return temperature


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd, so that the kernel has a centre")
    return size


Positive = Annotated[int, Field(ge=1)]
OddSize = Annotated[int, Field(ge=1), AfterValidator(_odd)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Workers = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Levels = Annotated[int, Field(ge=2, le=2**16)]
Temperature = Annotated[float, AfterValidator(_above_zero)]
Split = Literal["train", "val", "test"]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
"""Where to compute, in Lightning's words."""
StyleName = Literal["light", "dark"]
"""The background of a figure."""
ImageShape = tuple[Positive, Positive, Positive]
"""(C, H, W): colours, rows, columns."""

checked = validate_call(config=_CONFIG)
"""Decorator: arguments are checked against the annotations; `pydantic.ValidationError` (a
`ValueError`) says which is wrong."""


def converted(
    target: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Convert keyword arguments to what the annotations of `target` say, without calling it.

    Parameters without an annotation that pydantic can check accept anything.

    Args:
        target: function or class.
        given: arguments by name.

    Returns:
        The converted arguments, such as 4 for 4.0 where an integer is expected; and what is wrong,
        name -> reason: "unknown" for a name that `target` does not take.
    """
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = accepted_names(target)
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in given.items():
        if name not in named and not open_ended:
            wrong[name] = "unknown"
            continue
        adapter = _adapter(hints.get(name, Any)) if name in named else None
        try:
            values[name] = value if adapter is None else adapter.validate_python(value)
        except ValidationError as error:
            wrong[name] = _reason(error)
    return values, wrong


def problems(target: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with calling `target` with these keyword arguments: name -> reason."""
    return converted(target, arguments)[1]


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


def plain(converted: Any, given: Any) -> Any:
    """The converted value as plain YAML can hold it; what has no plain form stays as given."""
    if converted is None or isinstance(converted, bool | int | float | str):
        return converted
    if isinstance(converted, list | tuple) and isinstance(given, list | tuple):
        pairs = zip(converted, given, strict=False)
        return [plain(item, before) for item, before in pairs]
    if isinstance(converted, dict) and isinstance(given, dict):
        pairs = zip(converted.items(), given.values(), strict=False)
        return {key: plain(item, before) for (key, item), before in pairs}
    return given


def _reason(error: ValidationError) -> str:
    reasons = []
    for detail in error.errors():
        where = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
        text = detail["msg"].removeprefix("Value error, ")
        reasons.append(f"{where} {text}".strip())
    unique = list(dict.fromkeys(reasons))
    text = "; or ".join(unique)
    return text[0].lower() + text[1:]
