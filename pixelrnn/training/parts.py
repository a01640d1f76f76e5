"""Builds the parts of a run from its configuration. What cannot work is refused here, in one line.

Nothing is written, and nothing is read from the data's files.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pytorch_lightning as pl
from pydantic import AfterValidator, Field, ValidationError
from pytorch_lightning.callbacks import LearningRateMonitor, ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from pixelrnn import refused
from pixelrnn.arguments import Positive
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import ConfigError
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import check, from_data, nodes
from pixelrnn.training import accelerators, checkpoint, devices
from pixelrnn.training.kernel_notes import KernelNotes
from pixelrnn.training.module import PixelModule

Part = TypeVar("Part")


def _endless_or_positive(number: int) -> int:
    if number < 1 and number != -1:
        raise ValueError("must be at least 1, or -1 for no limit")
    return number


EndlessOrPositive = Annotated[int, AfterValidator(_endless_or_positive)]
AboveZero = Annotated[int | float, Field(gt=0)]

_SET_BY_THE_RUN = {
    "callbacks": "; add yours as callbacks.NAME",
    "logger": "; add yours as logger.NAME",
    "plugins": "",
    "default_root_dir": "; set folder",
    "enable_progress_bar": "; set callbacks.progress=null for no bar",
    "enable_checkpointing": "",
}
"""Arguments of the Trainer that a run gives, and what to set instead."""


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
    """The configuration with what the data determine (`runs.from_data`) filled in.

    Raises:
        ConfigError: the model was given another shape, number of levels or number of classes than
            the data have.
    """
    known = {
        "image_shape": list(data.image_shape),
        "levels": data.levels,
        "classes": data.classes,
    }
    _check_classes(config["model"], "model", data)

    return {
        **config,
        "model": _filled_model(config["model"], known, "model"),
        "likelihood": _filled(config["likelihood"], known),
    }


def _filled(value: Any, known: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_filled(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: known[key] if from_data.is_open(key, item) else _filled(item, known)
        for key, item in value.items()
    }


def _filled_model(node: dict[str, Any], known: dict[str, Any], path: str) -> dict[str, Any]:
    """Fill the node of a model; the models that it is made of may be of other images."""
    tell = getattr(nodes.locate(node["_target_"]), "shapes_of_parts", None)
    shapes = tell(node, tuple(known["image_shape"])) if tell else {}
    parts = {
        key: _filled_model(node[key], {**known, "image_shape": list(shape)}, f"{path}.{key}")
        for key, shape in shapes.items()
        if isinstance(node.get(key), dict)
    }
    model = _filled({key: item for key, item in node.items() if key not in parts}, known)
    for key, words in (("image_shape", ""), ("levels", " levels")):
        given = model.get(key, known[key])
        if given != known[key]:
            have = "have" if words else "are"
            raise ConfigError(
                f"{path}.{key}={given} but the data {have} {known[key]}{words}: "
                f"leave {path}.{key} as it is, or change the data"
            )
    return model | parts


def _check_classes(node: Any, path: str, data: PixelDataModule) -> None:
    """Refuse a model that is conditioned on other classes than the data have, at any depth."""
    if not isinstance(node, dict):
        return
    given = node.get("classes")
    if given is not None and data.classes is None:
        raise ConfigError(
            f"{path}.classes={given} but {data.dataset_id} has no labels: "
            f"leave {path}.classes=null, or change the data"
        )
    if given not in (None, from_data.WORD, data.classes):
        raise ConfigError(
            f"{path}.classes={given} but the data have {data.classes} classes: "
            f"set {path}.classes={from_data.WORD}, or null for a model without labels"
        )
    for key, value in node.items():
        _check_classes(value, f"{path}.{key}", data)


def module(config: dict[str, Any]) -> PixelModule:
    """The model with its optimiser and schedule.

    Raises:
        ConfigError: one of them cannot be built.
    """
    model: ImageDistribution = build("model", config["model"], ImageDistribution)  # type: ignore[type-abstract]
    with _naming("model"):
        model.check_complete()
    with _naming("optimizer"):
        optimizer = nodes.build(config["optimizer"])
        optimizer(model.parameters())
    with _naming("scheduler"):
        scheduler = nodes.build(config["scheduler"])
    settings = {key: config[key] for key in ("on_out_of_memory", "seed", "skip_bad_steps")}
    return PixelModule(model, optimizer, scheduler, **settings)


def trainer(
    config: dict[str, Any],
    data: PixelDataModule,
    loggers: list[Logger],
    layout: devices.Layout,
) -> pl.Trainer:
    """Lightning's Trainer with all callbacks, for one of the processes of a run.

    Raises:
        ConfigError: it or a callback refused.
    """
    check_trainer(config["trainer"])
    callbacks = [
        build(f"callbacks.{name}", node, pl.Callback)
        for name, node in config["callbacks"].items()
        if node
    ]
    if not loggers:  # Lightning refuses to monitor the learning rate for nobody
        callbacks = [one for one in callbacks if not isinstance(one, LearningRateMonitor)]
    callbacks.append(KernelNotes(Path(config["folder"])))
    several = devices.arguments(layout, config["trainer"])
    fixed = {
        **several,
        "callbacks": callbacks,
        "logger": loggers,
        "plugins": [checkpoint.AtomicCheckpointIO(), *several["plugins"]],
        "default_root_dir": config["folder"],
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
    }
    if "val" not in data.splits:
        fixed["limit_val_batches"] = 0
    return build("trainer", {**config["trainer"], **fixed}, pl.Trainer)


def check_trainer(node: dict[str, Any]) -> None:
    """Refuse what Lightning's Trainer takes and then dies of, or what the run itself sets.

    Args:
        node: the settings of the Trainer.

    Raises:
        ConfigError: one line with each such key.
    """
    lines = [
        f"trainer.{key}: the run sets it itself{instead}"
        for key, instead in _SET_BY_THE_RUN.items()
        if key in node
    ]
    if node.get("overfit_batches"):
        lines.append(
            "trainer.overfit_batches: the data bring a sampler of their own; use "
            f"trainer.limit_train_batches={node['overfit_batches']} with more trainer.max_epochs"
        )
    if node.get("accelerator") in ("gpu", "cuda", "mps"):
        try:
            accelerators.device(node["accelerator"])
        except ConfigError as error:
            lines.append(f"trainer.{error}")
    if lines:
        raise ConfigError("; ".join(lines))
    given = {name: value for name, value in node.items() if value is not None}
    check.check_arguments(_trainer_ranges, given, "trainer")


def _trainer_ranges(
    *,
    accumulate_grad_batches: Positive = 1,
    log_every_n_steps: Positive = 1,
    check_val_every_n_epoch: Positive = 1,
    max_epochs: EndlessOrPositive = 1,
    max_steps: EndlessOrPositive = 1,
    val_check_interval: AboveZero = 1.0,
    limit_train_batches: AboveZero = 1.0,
    **others: Any,
) -> None:
    """Ranges of Trainer arguments; the annotations are what counts (`check.check_arguments`)."""


@contextlib.contextmanager
def limits_explained() -> Iterator[None]:
    """What only a loader's length shows to be wrong, such as trainer.limit_val_batches=0.001.

    Raises:
        ConfigError: Lightning refuses the settings of its Trainer.
    """
    try:
        yield
    except MisconfigurationException as error:
        text = " ".join(str(error).replace("`", "").split())
        raise ConfigError(f"trainer: {text}") from error


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
        if refused.for_want_of_memory(error):
            raise ConfigError(f"{key}: does not fit into this machine's memory") from error
        raise
