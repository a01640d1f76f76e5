"""Models whose annotated fields are the arguments of their constructor.

An option is written once: one field, in the class that uses it or in one that several models
share, and one line of its docstring. The constructor's signature, its checks and its documentation
follow.
"""

import inspect
import typing
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from pixelrnn.arguments import checked

Model = TypeVar("Model", bound=type)

_ARGUMENTS = "\n    Args:\n"


@dataclass_transform(eq_default=False)
def arguments_from_fields(cls: Model) -> Model:
    """Give a class a constructor that checks its fields and sets them, then `__post_init__`.

    The docstring gets the `Args` of the bases, too; the signature shows plain types, without the
    ranges that are checked.
    """
    model: Any = dataclass(eq=False, repr=False)(cls)
    plain = typing.get_type_hints(model.__init__)
    shown = inspect.signature(model.__init__)
    checking: Any = checked(model.__init__)
    checking.__signature__ = shown.replace(
        parameters=[
            parameter.replace(annotation=plain.get(name, parameter.annotation))
            for name, parameter in shown.parameters.items()
        ]
    )
    checking.__doc__ = "Check the arguments and build the model."
    model.__init__ = checking
    model.__doc__ = _documentation(cls)
    return cls


def _documentation(cls: type) -> str:
    own, _, arguments = (cls.__doc__ or "").partition(_ARGUMENTS)
    inherited = [
        base.__doc__.partition(_ARGUMENTS)[2].rstrip()
        for base in cls.__bases__
        if hasattr(base, "__dataclass_fields__") and base.__doc__
    ]
    parts = [part for part in (*inherited, arguments.rstrip()) if part]
    return f"{own.rstrip()}\n{_ARGUMENTS}" + "\n".join(parts) + "\n    "
