"""What a stored configuration may name. The one check for all verbs that read stored runs.

A run folder or checkpoint from somebody else is data: nothing that it names may be called unless
it is a part of a run (a model, a data set, a likelihood, an optimiser, a callback, ...). What
counts is what a name stands for, not how it is spelt: `pixelrnn.atomic.os.mkdir` is `os.mkdir`.

To find out what a name stands for, its module must be imported, which runs the module's code. Only
these are imported: the packages that this project stands on; modules that are imported already; a
module of the user's own project, which is any that Python finds outside its installed packages and
its standard library (where another command of the user could import it by accident, too); and
installed packages that the user names in the environment variable PIXELRNN_TRUSTED (a list with
commas). No file of the run folder itself is ever imported.
"""

import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.image_set import ImageSet
from pixelrnn.errors import RunError
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.models.base import ImageDistribution
from pixelrnn.ops.conv_lstm.dispatch import Kernel

PARTS: tuple[type, ...] = (
    *(ImageDistribution, Likelihood, Kernel),
    *(PixelDataModule, ImageSet),
)
"""Kinds that a stored model or data set consists of."""

RUNS: tuple[type, ...] = (*PARTS, Optimizer, LRScheduler, pl.Callback, Logger, pl.Trainer)
"""Kinds that a whole stored run consists of."""

_OF_SERVERS = ("url", "host", "proxy", "proxies", "header", "token", "transport")
"""Parts of the names of W&B's settings that say where it sends what, and how."""

_PACKAGES = ("pixelrnn", "torch", "pytorch_lightning", "wandb")


def check(config: Any, kinds: tuple[type, ...], origin: str | Path) -> None:
    """Refuse a stored configuration that names anything but parts of a run. Nothing is called.

    Args:
        config: plain; every `_target_` in it, at any depth, is looked at.
        kinds: what the names may make.
        origin: file or folder, for the error text.

    Raises:
        RunError: one line with the first name that is refused, and why.
    """
    _check_names(config, kinds, origin)
    _check_servers(config, origin)


def _check_servers(config: Any, origin: str | Path) -> None:
    """Refuse a stored logger that would talk to a server of its own choice, with the user's key.

    Raises:
        RunError: names the setting.
    """
    loggers = config.get("logger") if isinstance(config, dict) else None
    for name, node in (loggers if isinstance(loggers, dict) else {}).items():
        settings = node.get("settings") if isinstance(node, dict) else None
        for key in settings if isinstance(settings, dict) else ():
            if any(part in str(key) for part in _OF_SERVERS):
                raise RunError(
                    f"{origin}: will not use logger.{name}.settings.{key}: a stored run may not "
                    "say which server W&B talks to; set WANDB_BASE_URL, and remove it there"
                )


def _check_names(config: Any, kinds: tuple[type, ...], origin: str | Path) -> None:
    if isinstance(config, list):
        for item in config:
            _check_names(item, kinds, origin)
    if isinstance(config, dict):
        if "_target_" in config:
            _check_target(config["_target_"], kinds, origin)
        for item in config.values():
            _check_names(item, kinds, origin)


def _check_target(target: Any, kinds: tuple[type, ...], origin: str | Path) -> None:
    try:
        made = _made(_found(str(target)))
    except _Refused as error:
        raise RunError(f"{origin}: will not call {target}: {error}") from error
    if not (isinstance(made, type) and issubclass(made, kinds)):
        raise RunError(f"{origin}: will not call {target}: it is no part of a run")


class _Refused(Exception):
    """Why a name is not looked up."""


def _found(target: str) -> Any:
    """What a dotted name stands for, reached without leaving the package that it begins with."""
    root, *parts = target.split(".")
    if not all(part.isidentifier() for part in (root, *parts)):
        raise _Refused("this is no name")
    _check_importable(root)
    found: Any = _imported(root)
    for part in parts:
        if isinstance(found, ModuleType):
            found = _member(found, part)
            if isinstance(found, ModuleType) and found.__name__.partition(".")[0] != root:
                raise _Refused(f"it leaves {root} by {found.__name__}")
        elif isinstance(found, type):
            found = getattr(found, part, None)
        else:
            raise _Refused("it is no part of a run")
    return found


def _check_importable(root: str) -> None:
    """See the head of this file."""
    named = os.environ.get("PIXELRNN_TRUSTED", "").split(",")
    if root in (*_PACKAGES, *named) or root in sys.modules:
        return
    spec = importlib.util.find_spec(root)  # of a module without a dot: nothing is imported
    if spec is None:
        raise _Refused(f"there is no module {root}")
    installed = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")]
    places = [spec.origin, *(spec.submodule_search_locations or ())]
    files = [Path(place).resolve() for place in places if place and os.path.exists(place)]
    if not files or any(file.is_relative_to(folder) for file in files for folder in installed):
        raise _Refused(
            f"{root} is not of this project; if you trust it, set PIXELRNN_TRUSTED={root}"
        )


def _member(module: ModuleType, name: str) -> Any:
    """A submodule, or else an attribute: as an import statement finds it."""
    full = f"{module.__name__}.{name}"
    if hasattr(module, "__path__") and importlib.util.find_spec(full) is not None:
        return _imported(full)
    if not hasattr(module, name):
        raise _Refused(f"{module.__name__} has no {name}")
    return getattr(module, name)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever an import can raise
        raise _Refused(f"{name} cannot be imported ({' '.join(str(error).split())})") from error


def _made(found: Any) -> Any:
    """What calling it makes: a class itself, or what a function says that it returns.

    A factory of factories, such as a schedule, makes what the inner one returns.
    """
    if isinstance(found, type):
        return found
    function: Callable[..., Any] = inspect.unwrap(found) if callable(found) else found
    if not inspect.isfunction(function):
        raise _Refused("it is no part of a run")
    try:
        made = typing.get_type_hints(function).get("return")
    except Exception as error:  # an annotation that names what is not there
        raise _Refused("it does not say what it returns") from error
    inner = typing.get_args(made)
    return inner[-1] if typing.get_origin(made) is not None and inner else made
