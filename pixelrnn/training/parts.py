"""Builds the parts of a run from its configuration. What cannot work is refused here, in one line.

Nothing is written, and nothing is read from the data's files.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import pytorch_lightning as pl
from pydantic import ValidationError
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import ConfigError
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import nodes
from pixelrnn.training import checkpoint
from pixelrnn.training.module import PixelModule
from pixelrnn.training.settings import FROM_DATA

Part = TypeVar("Part")


def build(key: str, node: dict[str, Any], kind: type[Part]) -> Part:
    """Build one part.

    Args:
        key: its name in the configuration, for the error text.
        node: its description.
        kind: what it must be.

    Raises:
        ConfigError: the constructor refused, or made something else.
    """
    with _naming(key):
        built = nodes.build(node)
    if not isinstance(built, kind):
        raise ConfigError(f"{key}._target_={node.get('_target_')}: is no {kind.__name__}")
    return built


def filled(config: dict[str, Any], data: PixelDataModule) -> dict[str, Any]:
    """The configuration with the shape and levels of the images wherever they are null.

    Raises:
        ConfigError: the model was given another shape or number of levels than the data have.
    """
    known = {"image_shape": list(data.image_shape), "levels": data.levels}

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: known[key] if item is None and key in FROM_DATA else walk(item)
            for key, item in value.items()
        }

    model = walk(config["model"])
    for key, words in (("image_shape", ""), ("levels", " levels")):
        given = model.get(key, known[key])
        if given != known[key]:
            have = "have" if words else "are"
            raise ConfigError(
                f"model.{key}={given} but the data {have} {known[key]}{words}: "
                f"leave model.{key} as it is, or change the data"
            )
    return {**config, "model": model, "likelihood": walk(config["likelihood"])}


def module(config: dict[str, Any]) -> PixelModule:
    """The model with its optimiser and schedule.

    Raises:
        ConfigError: one of them cannot be built.
    """
    model: ImageDistribution = build("model", config["model"], ImageDistribution)
    with _naming("optimizer"):
        optimizer = nodes.build(config["optimizer"])
        optimizer(model.parameters())
    with _naming("scheduler"):
        scheduler = nodes.build(config["scheduler"])
    return PixelModule(model, optimizer, scheduler)


def trainer(config: dict[str, Any], data: PixelDataModule, loggers: list[Logger]) -> pl.Trainer:
    """Lightning's Trainer with all callbacks.

    Raises:
        ConfigError: it or a callback refused.
    """
    if "val" not in data.splits:
        _check_unmonitored(config["callbacks"], data.dataset_id)
    callbacks = [
        build(f"callbacks.{name}", node, pl.Callback)
        for name, node in config["callbacks"].items()
        if node
    ]
    fixed = {
        "callbacks": callbacks,
        "logger": loggers,
        "plugins": [checkpoint.AtomicCheckpointIO()],
        "default_root_dir": config["folder"],
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
    }
    if "val" not in data.splits:
        fixed["limit_val_batches"] = 0
    return build("trainer", {**config["trainer"], **fixed}, pl.Trainer)


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """What a constructor refuses becomes a `ConfigError` that names the node."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ValidationError):
            detail = error.errors()[0]
            name = ".".join(str(part) for part in (key, *detail["loc"]))
            raise ConfigError(f"{name}={detail['input']}: {detail['msg']}") from error
        if isinstance(error, ValueError | TypeError | MisconfigurationException):
            raise ConfigError(f"{key}: {' '.join(str(error).split())}") from error
        raise


def _check_unmonitored(callbacks: dict[str, dict[str, Any] | None], dataset_id: str) -> None:
    """Without validation images nothing can be monitored.

    Raises:
        ConfigError: names the callbacks that would, and what to set instead.
    """
    monitored = [
        f"callbacks.{name}=null"
        for name, node in callbacks.items()
        if node and str(node.get("monitor", "")).startswith("val/")
    ]
    if monitored:
        raise ConfigError(f"{dataset_id} has no validation split: set {' '.join(monitored)}")
