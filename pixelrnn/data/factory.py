"""Makes of an image set the function that a configuration names: a data module that serves it."""

import inspect
from collections.abc import Callable
from typing import Any

from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.image_set import ImageSet


def served(
    image_set: Callable[..., ImageSet], *, name: str | None = None, **loader: int
) -> Callable[..., PixelDataModule]:
    """A function that makes an image set and the data module that serves it.

    It is what `_target_` of a configuration names. It takes the arguments of the set and those of
    `PixelDataModule`, side by side, and its signature and docstring say so.

    Args:
        image_set: class of the set.
        name: of the function; None: that of the class, without "Images" at its end.
        loader: other defaults for the arguments of `PixelDataModule`.
    """
    own = inspect.signature(image_set, eval_str=True).parameters
    common = {
        name: parameter.replace(default=loader.get(name, parameter.default))
        for name, parameter in inspect.signature(PixelDataModule).parameters.items()
        if name != "image_set"
    }
    parameters = sorted([*own.values(), *common.values()], key=lambda parameter: parameter.kind)
    signature = inspect.Signature(parameters, return_annotation=PixelDataModule)

    def make(*args: Any, **kwargs: Any) -> PixelDataModule:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        return PixelDataModule(
            image_set(**{name: given[name] for name in own}),
            **{name: given[name] for name in common},
        )

    make.__signature__ = signature  # type: ignore[attr-defined]
    make.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": PixelDataModule}
    make.__doc__ = _joint_doc(image_set)
    make.__module__ = image_set.__module__
    make.__name__ = make.__qualname__ = name or image_set.__name__.removesuffix("Images")
    return make


def _joint_doc(image_set: Callable[..., ImageSet]) -> str:
    """The docstring of a set, with the arguments of its bases and of the data module added."""
    text = inspect.getdoc(image_set) or ""
    owners = [*inspect.getmro(image_set)] if inspect.isclass(image_set) else []
    lines = [line for owner in (*owners, PixelDataModule) for line in _argument_lines(owner)]
    return "\n".join([text.partition("\nArgs:\n")[0].rstrip(), "", "Args:", *lines])


def _argument_lines(owner: type) -> list[str]:
    """The lines of a class's own docstring that explain its arguments."""
    _, _, arguments = inspect.cleandoc(owner.__doc__ or "").partition("\nArgs:\n")
    lines = arguments.partition("\n\n")[0].splitlines()
    return [line for line in lines if not line.startswith("    image_set:")]
