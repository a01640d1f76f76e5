"""`pixelrnn train`: one run, from configuration to record. The same command finds the same run."""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from filelock import FileLock, Timeout
from hydra.utils import instantiate
from omegaconf import DictConfig
from pydantic import ValidationError
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException, SIGTERMException

from pixelrnn import atomic, pictures
from pixelrnn.arguments import Positive, Seed
from pixelrnn.cli import compose, process, report, rerun, tracking
from pixelrnn.cli.multirun import jobs
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import check, record
from pixelrnn.runs.signature import signature as signature_of
from pixelrnn.training import checkpoint, load
from pixelrnn.training.evaluate import evaluate
from pixelrnn.training.module import PixelModule


def main(argv: list[str]) -> int | None:
    """Entry of the verb. Returns the exit code of a multirun."""
    _check_words(argv)
    stored_run = [word for word in argv if word.startswith("run=")]
    if stored_run:
        rerun.main(stored_run[0].removeprefix("run="), argv, train)
        return None
    if compose.is_multirun(argv):
        return jobs.run(argv, job)
    compose.run("train", task, argv)
    return None


def task(config: DictConfig) -> None:
    """One run."""
    compose.call(train, _named(config))


def job(config: DictConfig) -> float | None:
    """One run of a multirun: what goes wrong is recorded, and stops no other.

    Returns:
        val/bits_per_dim, for a sweeper that optimises; None if the job failed or it is not finite.
    """
    with jobs.recorded(lambda: Path(_named(config).folder)):
        metrics = compose.call(train, config)["metrics"]
        value = metrics.get("val/bits_per_dim", metrics["test/bits_per_dim"])
        return value if math.isfinite(value) else None
    return None


def _named(config: DictConfig) -> DictConfig:
    """Give a configuration its signature and folder."""
    given = config.folder
    config.folder, config.signature = ".", ""
    config.signature = signature_of(compose.plain(config))
    config.folder = given or f"{config.paths.runs}/{config.label}-{config.signature}"
    return config


def _check_words(argv: list[str]) -> None:
    """A scale needs something to scale.

    Raises:
        ConfigError: scale=small alone.
    """
    groups = {word.lstrip("+").split("=", 1)[0] for word in argv if "=" in word}
    if "scale=small" in argv and groups.isdisjoint({"experiment", "sweep", "benchmark"}):
        raise ConfigError(
            "scale=small: of which benchmark? Add experiment=..., sweep=... or benchmark=..."
        )


def train(
    *,
    data: dict[str, Any],
    model: dict[str, Any],
    likelihood: dict[str, Any],
    kernel: dict[str, Any],
    optimizer: dict[str, Any],
    scheduler: dict[str, Any],
    trainer: dict[str, Any],
    callbacks: dict[str, dict[str, Any] | None],
    logger: dict[str, dict[str, Any] | None],
    seed: Seed,
    threads: Positive | None,
    label: str,
    sweep_name: str | None,
    scale_name: Literal["small"] | None,
    folder: str,
    signature: str,
    paths: dict[str, str],
) -> dict[str, Any]:
    """Train, evaluate all splits with the best weights, write the record, say where it lies.

    Args:
        data: config of a data module; like all groups below, a plain node with `_target_`.
        model: config of a model.
        likelihood: config of its likelihood (interpolated into `model`).
        kernel: which implementation of the recurrence (interpolated into `model`).
        optimizer: config of an optimiser factory.
        scheduler: config of a schedule factory.
        trainer: config of Lightning's Trainer.
        callbacks: name -> config or null.
        logger: name -> config or null.
        seed: of weights, data order and draws.
        threads: of this process; None: one for small models, else all cores.
        label: what the run is about, `<data>-<model>`.
        sweep_name: groups runs in W&B and tables.
        scale_name: "small": a row of the paper's tables on stand-in data; None: as configured.
        folder: run folder.
        signature: of the effective configuration.
        paths: roots of runs and data.

    Returns:
        The record, as in results.json.

    Raises:
        ConfigError: parts that do not fit each other.
        RunError: the folder holds another run, or is in use.
    """
    config = dict(locals())
    run = Path(folder)
    done = _finished(run, signature)
    if done is not None:
        report.show(done, run, "finished before; delete the folder to train anew")
        return done
    process.set_up(threads or 1)
    pl.seed_everything(seed, workers=True, verbose=False)
    module, data_module = _build(config)
    torch.set_num_threads(threads or process.sensible_threads(module.model, data_module.batch_size))
    run.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run / ".lock", timeout=0):
            results = _recorded(config, run, module, data_module)
    except Timeout as error:
        raise RunError(f"{run}: another process is training this run") from error
    report.show(results, run, "done")
    return results


def _finished(run: Path, signature: str) -> dict[str, Any] | None:
    """Stored results of this very configuration."""
    if (run / "config.yaml").is_file():
        found = record.config(run).get("signature")
        if found != signature:
            raise RunError(
                f"{run}: holds a run of another configuration ({found}, not {signature}); "
                "choose another folder"
            )
    return record.results(run)


def _build(config: dict[str, Any]) -> tuple[PixelModule, PixelDataModule]:
    """Everything that can be refused is built here, before anything is written."""
    with _naming("data"):
        data_module: PixelDataModule = instantiate(config["data"], _convert_="all")
    check.check_pair(data_module.image_shape, data_module.levels, config["model"])
    if "val" not in data_module.splits:
        check.check_unmonitored(config["callbacks"], data_module.dataset_id)
    with _naming("model"):
        model: ImageDistribution = instantiate(config["model"], _convert_="all")
    with _naming("optimizer"):
        optimizer = instantiate(config["optimizer"], _convert_="all")
        optimizer(model.parameters())
    with _naming("scheduler"):
        scheduler = instantiate(config["scheduler"], _convert_="all")
    with _naming("trainer"):
        _trainer(config, data_module, callbacks=[], logger=False)
    module = PixelModule(model, optimizer, scheduler, model_config=config["model"])
    return module, data_module


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """What a constructor refuses becomes a `ConfigError` that names the node."""
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, ValidationError):
            detail = cause.errors()[0]
            name = ".".join(str(part) for part in (key, *detail["loc"]))
            raise ConfigError(f"{name}={detail['input']}: {detail['msg']}") from error
        if isinstance(cause, ValueError | TypeError | MisconfigurationException):
            raise ConfigError(f"{key}: {' '.join(str(cause).split())}") from error
        raise


def _trainer(
    config: dict[str, Any], data: PixelDataModule, callbacks: list[Any], logger: Any
) -> pl.Trainer:
    no_validation = {} if "val" in data.splits else {"limit_val_batches": 0}
    return instantiate(
        config["trainer"],
        callbacks=callbacks,
        logger=logger,
        plugins=[checkpoint.AtomicCheckpointIO()],
        default_root_dir=config["folder"],
        enable_progress_bar=bool(callbacks),
        **no_validation,
        _convert_="all",
    )


def _recorded(
    config: dict[str, Any], run: Path, module: PixelModule, data: PixelDataModule
) -> dict[str, Any]:
    """Run, and leave failed.json if that raises."""
    try:
        with tracking.session(config) as loggers:
            results = _run(config, run, module, data, loggers)
        record.finish(run, results)
    except Exception as error:
        with contextlib.suppress(OSError):  # a full disc must not hide what went wrong first
            record.fail(run, error)
        raise
    return results


def _run(
    config: dict[str, Any],
    run: Path,
    module: PixelModule,
    data: PixelDataModule,
    loggers: list[Logger],
) -> dict[str, Any]:
    """Fit from the last sound checkpoint, if any, then evaluate."""
    resume_from = checkpoint.sound_checkpoint(run, ("last", "best"))
    record.start(run, config)
    data.prepare_data()
    data.setup()
    seconds = _fit(config, module, data, resume_from, loggers)
    best = load.load_model(run)
    metrics: dict[str, float] = {}
    for split in data.splits:
        metrics |= evaluate(best, data, split, config["trainer"].get("accelerator", "auto"))
    _final_samples(best, run, config["seed"])
    tracking.summarise(metrics)
    return {
        "label": config["label"],
        "dataset_id": data.dataset_id,
        "signature": config["signature"],
        "sweep_name": config["sweep_name"],
        "scale_name": config["scale_name"],
        "seed": config["seed"],
        "metrics": metrics,
        "parameters": sum(p.numel() for p in best.parameters()),
        "steps": module.trainer.global_step,
        "epochs": module.trainer.current_epoch,
        "training_seconds": seconds,
        "evaluation_dtype": "float32",
        "wandb_id": config["signature"] if config["logger"].get("wandb") else None,
        "environment": record.environment(),
        "config": config,
    }


def _fit(
    config: dict[str, Any],
    module: PixelModule,
    data: PixelDataModule,
    resume_from: Path | None,
    loggers: list[Logger],
) -> float:
    """Returns the seconds of training, those before an interruption included."""
    callbacks = [
        instantiate(node, _convert_="all") for node in config["callbacks"].values() if node
    ]
    trainer = _trainer(config, data, callbacks, loggers)
    started = time.monotonic()
    try:
        trainer.fit(module, data, ckpt_path=resume_from)
    except SIGTERMException as error:  # Lightning would leave with exit code 0
        raise SystemExit(143) from error
    except SystemExit as error:
        if trainer.interrupted:
            raise KeyboardInterrupt from error
        raise
    return module.seconds_before + time.monotonic() - started


def _final_samples(model: ImageDistribution, run: Path, seed: int, n: int = 36) -> None:
    images = model.sample(n, generator=torch.Generator().manual_seed(seed))
    with atomic.replacing(run / "samples" / "final.png", "wb") as file:
        pictures.grid(images, model.levels).save(file, format="png")
