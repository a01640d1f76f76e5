"""The settings of a run: the keys of conf/train.yaml, with their types."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pixelrnn.arguments import Count, Positive, Seed
from pixelrnn.data.base import Split
from pixelrnn.errors import ConfigError
from pixelrnn.runs import check, from_data

_LONGEST_LABEL = 100


def _label(text: str) -> str:
    if not text or len(text) > _LONGEST_LABEL:
        raise ValueError(f"must have 1 to {_LONGEST_LABEL} characters, since it names the folder")
    if text.startswith(".") or any(c in "/\\" or not c.isprintable() for c in text):
        raise ValueError(
            "names the run's folder: no / or \\, no control characters, no dot in front"
        )
    return text


Label = Annotated[str, AfterValidator(_label)]
Splits = Annotated[list[Split], BeforeValidator(lambda one: [one] if isinstance(one, str) else one)]
Folder = Annotated[str, Field(min_length=1)]


Resume = Literal["auto", "must", "never"]


@dataclass(frozen=True)
class Settings:
    """What a run is. Groups are plain nodes with `_target_`, as conf/ holds them.

    Attributes:
        data: node of a data module.
        model: node of a model; the data set fills `image_shape` and `levels` where they are null,
            and `classes` where it is "data".
        likelihood: node of its likelihood (interpolated into `model`).
        kernel: which implementation of the recurrence runs (interpolated into `model`).
        optimizer: node of an optimiser factory.
        scheduler: node of a schedule factory.
        trainer: node of Lightning's Trainer.
        callbacks: name -> node or null.
        logger: name -> node or null.
        seed: of weights, data order and draws.
        threads: CPU threads of this process; null: one for small models, else all cores.
        evaluate: the splits that the record holds exact likelihoods of.
        label: what the run is about, `<data>-<model>`; its folder is named by it.
        sweep_name: groups runs in W&B and tables.
        scale_name: the scale at which a row of a table was asked for; null: as configured.
        init_from: a run folder, a checkpoint or a .safetensors file with the weights that training
            begins with: a run's best, averaged if it averages. Optimiser, schedule and steps begin
            anew. The weights are part of what the run is, the place they come from is not.
        resume: what to do where the folder holds a half-done run, or holds none. auto: go on, or
            begin; must: go on, or refuse; never: begin, or refuse. A finished run is reported
            whatever it says.
        skip_bad_steps: how many steps whose loss or gradient is not finite are skipped in the whole
            training. The next one stops it, with the state before it saved; a higher number then
            goes on from there. On a GPU any number above 0 waits for the device in every step.
        on_out_of_memory: halve: a training batch for which the memory does not suffice is computed
            in parts whose gradients are added, so that the batch stays the same; stop: training
            ends with a line that names the keys which help.
        folder: run folder; null: `<paths.runs>/<label>-<signature>`.
        paths: roots of runs and data.
    """

    data: dict[str, Any]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    trainer: dict[str, Any]
    label: Label
    likelihood: dict[str, Any] | None = None
    kernel: dict[str, Any] | None = None
    scheduler: dict[str, Any] | None = None
    callbacks: dict[str, dict[str, Any] | None] | None = None
    logger: dict[str, dict[str, Any] | None] | None = None
    seed: Seed = 0
    threads: Positive | None = None
    evaluate: Splits = field(default_factory=lambda: ["val", "test"])
    sweep_name: str | None = None
    scale_name: str | None = None
    init_from: Folder | None = None
    resume: Resume = "auto"
    skip_bad_steps: Count = 0
    on_out_of_memory: Literal["stop", "halve"] = "stop"
    folder: Folder | None = None
    paths: dict[str, str] = field(default_factory=lambda: {"runs": "runs", "data": "data"})


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """Check a whole plain configuration.

    Args:
        config: keys of `Settings`.

    Returns:
        The same keys with the declared types, and defaults for those left out.

    Raises:
        ConfigError: one line naming each key that is unknown, missing or wrong.
    """
    values = check.check_arguments(Settings, config, "")
    needed = ("data", "model", "optimizer", "trainer", "label")
    missing = [name for name in needed if name not in values]
    if missing:
        raise ConfigError("; ".join(f"{name}: must be given, as {name}=..." for name in missing))
    for group in ("callbacks", "logger"):
        values[group] = values.get(group) or {}
    return check.converted(vars(Settings(**values)), "", from_data.is_open)
