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

import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler, Profiler

from pixelrnn import start_up, threads
from pixelrnn.data.base import PixelDataModule
from pixelrnn.models.base import ImageDistribution
from pixelrnn.ops import choices
from pixelrnn.runs import record, related
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
    preparation,
    process,
    run_folder,
    sample_grid,
    tracking,
    weights,
    world,
)
from pixelrnn.training.evaluate import evaluate_splits
from pixelrnn.training.module import PixelModule
from pixelrnn.training.preparation import PreparedRun

_FINAL_SAMPLES = 36


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
    return carry_out(preparation.prepare(config))


def carry_out(prepared: PreparedRun) -> dict[str, Any]:
    """Train and evaluate what is not done yet; returns the record.

    Raises:
        As `train`.
    """
    if prepared.record is not None and not prepared.unevaluated:
        return prepared.record
    config, run = prepared.config, prepared.folder
    with (
        interruption.watching(),
        process.seeded(config["seed"], config["threads"]),
        world.watched_over(interruption.saved),
    ):
        ready = world.all_or_none(lambda: built(prepared))
        work = {"config": config, "record": prepared.record}
        with launcher.others(work, ready.layout.size), run_folder.held(run):
            now = _as_found(prepared)
            with (
                run_folder.failure_noted(run),
                in_parts.explained(config),
                world.watched_over(interruption.saved),
                devices.explained(),
            ):
                return _finished(now, ready)


class Ready(NamedTuple):
    """All that a run needs, built, and with its data there."""

    layout: devices.Layout
    module: PixelModule
    trainer: pl.Trainer
    loggers: dict[str, Logger]


def built(prepared: PreparedRun) -> Ready:
    """Build what can be refused, and fetch the data.

    Raises:
        ConfigError: a part cannot be built, or parts do not fit each other.
        DataError: the data cannot be had.
    """
    start_up.finished()
    config, data = prepared.config, prepared.data
    layout = devices.layout(config)
    checks.check_settings(config, data)
    module = parts.module(config)
    checks.advise(module.model, data)
    if prepared.record is None and not checkpoint.present(prepared.folder):
        _begin(module, config)
    where = accelerators.settled(config, module.model, data, layout.size)
    layout = layout._replace(accelerator=where)
    writes = prepared.record is None and process.is_writer()
    loggers = tracking.build(config) if writes else {}
    trainer = parts.trainer(config, data, list(loggers.values()), layout)
    torch.set_num_threads(config["threads"] or _sensible_threads(module.model, data, layout))
    data.prepare_data()
    data.setup()
    if prepared.record is None:
        checks.check_limits(config, data, data.images_per_epoch())
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


def _as_found(prepared: PreparedRun) -> PreparedRun:
    """The run as its locked folder has it: another command may have ended while this one built.

    Raises:
        RunError: the folder now holds another run.
    """
    found = world.from_first(lambda: run_folder.stored_record(prepared.config))
    return prepared if found is None else dataclasses.replace(prepared, record=found)


def _finished(prepared: PreparedRun, ready: Ready) -> dict[str, Any]:
    """Do what is left of a run whose folder is held, and write the record."""
    config, run = prepared.config, prepared.folder
    if prepared.record is None:
        goes_on = checkpoint.present(run)
        session = tracking.session(config, ready.loggers, goes_on)
        with session as ready.trainer.loggers:
            results, best = _fit_and_evaluate(prepared, ready)
    else:
        best = load.load_model(run)
        metrics = prepared.record["metrics"] | _evaluated(prepared, best, ready.layout)
        results = {**prepared.record, "metrics": metrics}
    if process.is_writer():
        weights.export(run, best, results)
        record.finish(run, results)
    return results


def _fit_and_evaluate(
    prepared: PreparedRun, ready: Ready
) -> tuple[dict[str, Any], ImageDistribution]:
    """Fit from the last sound checkpoint, if any, then evaluate the best weights."""
    config, run, module, trainer = prepared.config, prepared.folder, ready.module, ready.trainer
    resume = world.from_first(lambda: checkpoint.to_resume(run))
    if resume is not None:
        process.say(f"resuming from step {resume.step} of {resume.path}")
    if process.is_writer():
        record.start(run, config, accelerator=ready.layout.accelerator)
    started = time.monotonic()
    with checkpoint.explained(resume), parts.limits_explained():
        trainer.fit(module, prepared.data, ckpt_path=None if resume is None else resume.path)
    seconds = module.seconds_before + time.monotonic() - started
    _show_profile(trainer)
    best = load.load_model(run)
    metrics = _evaluated(prepared, best, ready.layout)
    if process.is_writer():
        sample_grid.write(best, _FINAL_SAMPLES, config["seed"], run / "samples" / "final")
    tracking.summarise(trainer.loggers, metrics)
    results = {
        "label": config["label"],
        "dataset_id": prepared.data.dataset_id,
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
        "evaluation_batch": prepared.data.evaluation_batch,
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


def _evaluated(
    prepared: PreparedRun, model: ImageDistribution, layout: devices.Layout
) -> dict[str, float]:
    """Exact likelihoods of the splits that the record does not hold yet; all processes share."""
    shown = bool(prepared.config["callbacks"].get("progress")) and process.is_writer()
    return evaluate_splits(
        model,
        prepared.data,
        prepared.unevaluated,
        progress=shown,
        processes=lambda: devices.arguments(layout, prepared.config["trainer"]),
    )
