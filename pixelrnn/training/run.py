"""The way of a run, from a plain configuration to its record. Every run goes this way.

    prepare     check the configuration, build the data, fill what they determine, name the folder
    carry_out   build the rest, fetch the data, lock the folder, fit, evaluate, write the record

The same configuration finds the same folder: finished, its record comes back; half done, it goes
on from there.
Nothing is written before all that can be refused was built, and the data are there.

Several processes go this way in step (`world`). Those that torchrun or srun has started come
together in `prepare`, which the first of them does for all; those that trainer.devices asks for are
started in `carry_out`, when all is built.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler, Profiler

from pixelrnn import start_up, threads
from pixelrnn.arguments import Split
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import RunError
from pixelrnn.models.base import ImageDistribution
from pixelrnn.ops import choices
from pixelrnn.runs import naming, record, related, signature
from pixelrnn.training import (
    accelerators,
    checkpoint,
    checks,
    devices,
    in_parts,
    initial,
    interruption,
    launcher,
    load,
    parts,
    process,
    run_folder,
    sample_grid,
    settings,
    tracking,
    weights,
    world,
)
from pixelrnn.training.evaluate import evaluate_splits
from pixelrnn.training.module import PixelModule

COMPUTED = ("signature", "data_content", "init_weights")
"""Keys of config.yaml that no one can give: a run computes them."""

_FINAL_SAMPLES = 36


@dataclass(frozen=True)
class Plan:
    """A checked run whose folder is known; nothing is written yet.

    Attributes:
        config: checked, filled and plain, as config.yaml holds it.
        data: its data module; no file is read yet.
        record: the stored record if the run is finished, else None.
    """

    config: dict[str, Any]
    data: PixelDataModule
    record: dict[str, Any] | None

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.config["folder"])

    @property
    def unevaluated(self) -> list[Split]:
        """Splits that the record should hold and does not."""
        metrics = (self.record or {}).get("metrics", {})
        wanted = [split for split in self.config["evaluate"] if split in self.data.splits]
        return [split for split in wanted if f"{split}/nll" not in metrics]


def train(config: Mapping[str, Any]) -> dict[str, Any]:
    """Train, evaluate with the best weights, write the record.

    Args:
        config: plain and resolved, with the keys of conf/train.yaml (`settings.Settings`).

    Returns:
        The record, as in results.json.

    Raises:
        ConfigError: a key is wrong, or parts do not fit each other.
        DataError: the data are missing or damaged.
        RunError: the folder holds another run, or is in use.
        TrainingError: the loss or the weights are not finite.
        Interrupted: Ctrl-C or SIGTERM; the same configuration goes on from there.
    """
    return carry_out(prepare(config))


def prepare(config: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> Plan:
    """Check a configuration, build its data module, and name its folder.

    Args:
        config: as for `train`.
        stored: what config.yaml says besides, if it is a run that is done again (`prepare_again`).

    Raises:
        ConfigError: a key is wrong, or parts do not fit each other.
        DataError: the data are the user's own files, and cannot be read.
        RunError: the folder holds another run, or `resume` forbids what would be done there; or
            `init_from` names no weights.
    """
    world.join()
    plans: list[Plan] = []

    def of_first() -> tuple[dict[str, Any], dict[str, Any] | None]:
        plans.append(_prepared(config, stored or {}))
        return plans[0].config, plans[0].record

    filled, found = world.from_first(of_first)
    if plans:
        return plans[0]
    return Plan(filled, parts.build("data", filled["data"], PixelDataModule), found)


def _prepared(config: Mapping[str, Any], stored: Mapping[str, Any]) -> Plan:
    """What `prepare` does, in the one process that does it."""
    checked = settings.checked(dict(config))
    resume = checked.pop("resume")  # how the command is to act, and no part of what the run is
    data = parts.build("data", checked["data"], PixelDataModule)
    filled = parts.filled(checked, data)
    folder = None if filled["folder"] in (None, naming.FOLDER) else filled["folder"]
    filled = naming.moved(filled, naming.FOLDER)
    filled["data_content"] = data.content_id
    filled |= stored or _initial_weights(filled | {"folder": folder or naming.FOLDER})
    filled.setdefault("signature", signature.signature(filled))
    default = f"{filled['paths']['runs']}/{filled['label']}-{filled['signature']}"
    filled = naming.moved(filled, folder or default)
    plan = Plan(filled, data, run_folder.stored_record(filled))
    if plan.record is None:
        run_folder.check_resume(plan.folder, resume)
    return plan


def _initial_weights(config: dict[str, Any]) -> dict[str, str]:
    """The key `init_weights`; it is left out without `init_from`, as before there was one."""
    found = initial.digest(config)
    return {} if found is None else {"init_weights": found}


def prepare_again(config: dict[str, Any]) -> Plan:
    """Prepare a run from its stored configuration: it keeps its signature.

    Args:
        config: content of config.yaml; its `folder` says where.

    Raises:
        RunError: the data have changed since; else as `prepare`.
    """
    given = {key: value for key, value in config.items() if key not in COMPUTED}
    kept = ("signature", "init_weights")
    plan = prepare(given, {key: config[key] for key in kept if key in config})
    content = config.get("data_content")
    if content is not None and content != plan.config["data_content"]:
        raise RunError(f"{plan.folder}: the files of its data have changed since it was trained")
    return plan


def carry_out(plan: Plan) -> dict[str, Any]:
    """Train and evaluate what is not done yet; returns the record.

    Raises:
        As `train`.
    """
    if plan.record is not None and not plan.unevaluated:
        return plan.record
    config, run = plan.config, plan.folder
    with (
        interruption.watching(),
        process.seeded(config["seed"], config["threads"]),
        world.watched_over(interruption.saved),
    ):
        ready = world.all_or_none(lambda: built(plan))
        work = {"config": config, "record": plan.record}
        with (
            launcher.others(work, ready.layout.size),
            run_folder.held(run),
            run_folder.failure_noted(run),
            in_parts.explained(config),
            world.watched_over(interruption.saved),
            devices.explained(),
        ):
            if plan.record is None:
                goes_on = checkpoint.present(run)
                session = tracking.session(config, ready.loggers, goes_on)
                with session as ready.trainer.loggers:
                    results, best = _fit_and_evaluate(plan, ready)
            else:
                best = load.load_model(run)
                metrics = plan.record["metrics"] | _evaluated(plan, best, ready.layout)
                results = {**plan.record, "metrics": metrics}
            if process.is_writer():
                weights.export(run, best, results)
                record.finish(run, results)
    return results


class Ready(NamedTuple):
    """All that a run needs, built, and with its data there."""

    layout: devices.Layout
    module: PixelModule
    trainer: pl.Trainer
    loggers: dict[str, Logger]


def built(plan: Plan) -> Ready:
    """Build what can be refused, and fetch the data.

    Raises:
        ConfigError: a part cannot be built, or parts do not fit each other.
        DataError: the data cannot be had.
    """
    start_up.finished()
    config, data = plan.config, plan.data
    layout = devices.layout(config)
    checks.check_settings(config, data)
    module = parts.module(config)
    checks.advise(module.model, data)
    if plan.record is None and not checkpoint.present(plan.folder):
        _begin(module, config)
    where = accelerators.settled(config, module.model, data, layout.size)
    layout = layout._replace(accelerator=where)
    writes = plan.record is None and process.is_writer()
    loggers = tracking.build(config) if writes else {}
    trainer = parts.trainer(config, data, list(loggers.values()), layout)
    torch.set_num_threads(config["threads"] or _sensible_threads(module.model, data, layout))
    data.prepare_data()
    data.setup()
    return Ready(layout, module, trainer, loggers)


def _begin(module: PixelModule, config: dict[str, Any]) -> None:
    """Give a new run its first weights, and tell of a run from which it could go on instead."""
    initial.fill(module.model, config)
    shorter = None if config["init_from"] else related.shorter(config)
    if shorter is not None:
        process.say(
            f"begins at step 0: a finished run of the same model, data and seed with "
            f"{related.budget_words(shorter)} is at {shorter}; init_from={shorter} would start "
            "from its weights"
        )


def _sensible_threads(
    model: ImageDistribution, data: PixelDataModule, layout: devices.Layout
) -> int:
    parameters = sum(weight.numel() for weight in model.parameters())
    _, height, width = data.image_shape
    images = -(-data.batch_size // layout.size)
    return threads.for_training(parameters, images, height * width, layout.local)


def _fit_and_evaluate(plan: Plan, ready: Ready) -> tuple[dict[str, Any], ImageDistribution]:
    """Fit from the last sound checkpoint, if any, then evaluate the best weights."""
    config, run, module, trainer = plan.config, plan.folder, ready.module, ready.trainer
    resume = world.from_first(lambda: checkpoint.to_resume(run))
    if resume is not None:
        process.say(f"resuming from step {resume.step} of {resume.path}")
    if process.is_writer():
        record.start(run, config, accelerator=ready.layout.accelerator)
    started = time.monotonic()
    with checkpoint.explained(resume):
        trainer.fit(module, plan.data, ckpt_path=None if resume is None else resume.path)
    seconds = module.seconds_before + time.monotonic() - started
    _show_profile(trainer)
    best = load.load_model(run)
    metrics = _evaluated(plan, best, ready.layout)
    if process.is_writer():
        sample_grid.write(best, _FINAL_SAMPLES, config["seed"], run / "samples" / "final")
    tracking.summarise(trainer.loggers, metrics)
    results = {
        "label": config["label"],
        "dataset_id": plan.data.dataset_id,
        "signature": config["signature"],
        "sweep_name": config["sweep_name"],
        "scale_name": config["scale_name"],
        "seed": config["seed"],
        "metrics": metrics,
        "class_names": list(best.class_names),
        "parameters": sum(p.numel() for p in best.parameters()),
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "training_seconds": seconds,
        "evaluation_dtype": "float32",
        "evaluation_batch": plan.data.evaluation_batch,
        "wandb_id": tracking.wandb_id(config),
        "environment": record.environment()
        | {"accelerator": ready.layout.accelerator, "kernels": choices.lines()},
        "config": config,
    }
    return results, best


def _show_profile(trainer: pl.Trainer) -> None:
    """Print what trainer.profiler measured, if there is one."""
    profiler: Profiler = trainer.profiler  # type: ignore[attr-defined]
    if process.is_writer() and not isinstance(profiler, PassThroughProfiler):
        print(profiler.summary(), file=sys.stderr)


def _evaluated(plan: Plan, model: ImageDistribution, layout: devices.Layout) -> dict[str, float]:
    """Exact likelihoods of the splits that the record does not hold yet; all processes share."""
    shown = bool(plan.config["callbacks"].get("progress")) and process.is_writer()
    return evaluate_splits(
        model,
        plan.data,
        plan.unevaluated,
        progress=shown,
        processes=lambda: devices.arguments(layout, plan.config["trainer"]),
    )
