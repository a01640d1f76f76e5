"""Measures the parts of a run in this process: short trainings of the real shapes, in the real way.

First a look at a few steps, which says how many more fill the time; then one short epoch with its
validation, an evaluation, and rows of samples.
"""

import resource
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import Callback

from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.excerpt import Drawn, Excerpt, at_hand
from pixelrnn.data.sampler import BatchOrder
from pixelrnn.generation.sources import draws
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import naming
from pixelrnn.training import (
    checks,
    devices,
    interruption,
    load,
    parts,
    preparation,
    process,
    run,
    tracking,
)
from pixelrnn.training.costs import GRID
from pixelrnn.training.evaluate import evaluate
from pixelrnn.training.sample_grid import rows_of_classes

_FEW, _MANY = 2, 500
"""Steps of the first look; steps that are measured at most, however fast they are."""

_FIRST_IMAGES = 16
"""Images that the first look validates."""


class _Clock(Callback):
    """Notes when the parts of a training of one epoch begin and end."""

    def __init__(self) -> None:
        self.first = 0.0
        self.ends: list[float] = []
        self.validation = 0.0
        self.done = 0.0
        self._began = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        self.first = self.first or time.monotonic()

    def on_train_batch_end(self, *_: Any) -> None:
        self.ends.append(time.monotonic())

    def on_validation_start(self, *_: Any) -> None:
        self._began = time.monotonic()

    def on_validation_epoch_end(self, trainer: Any, *_: Any) -> None:
        if not trainer.sanity_checking:  # what is saved after it comes later, and counts apart
            self.validation += time.monotonic() - self._began

    def on_train_epoch_end(self, *_: Any) -> None:
        self.done = time.monotonic()

    def batch(self) -> float:
        """Seconds from one batch's end to the next, without the first ones, which prepare."""
        first = min(_FEW, len(self.ends) - 1)
        if first < 1:
            return self.ends[-1] - self.first
        return (self.ends[-1] - self.ends[first - 1]) / (len(self.ends) - first)


@dataclass(frozen=True)
class _Training:
    """A short training, measured."""

    clock: _Clock
    layout: devices.Layout
    evaluation_batch: int
    begin: float
    epoch_end: float
    end: float


def costs(config: dict[str, Any], steps: int, seconds: float) -> dict[str, Any]:
    """The arguments of `costs.Costs`; see `costs.measured`.

    `imports` is what only the first training of a process takes, such as W&B's own process; what
    was imported before is not in it.

    Raises:
        ConfigError: as `run.carry_out`.
    """
    with tempfile.TemporaryDirectory() as folder, interruption.watching():
        whole = parts.build("data", config["data"], PixelDataModule)
        training_images = _training_images(whole)
        parts.check_trainer(config["trainer"])  # before its limits are replaced
        checks.check_limits(config, whole, training_images)
        config, processes = _measurable(config, folder)
        batches = len(BatchOrder(training_images, whole.batch_size, seed=0))
        whole.batch_size = -(-whole.batch_size // processes)
        with process.seeded(config["seed"], config["threads"]):
            return {
                **_costs(config, whole, steps, seconds),
                "processes": processes,
                "batches": batches,
            }


def _costs(
    config: dict[str, Any], whole: PixelDataModule, steps: int, seconds: float
) -> dict[str, Any]:
    accumulated = config["trainer"].get("accumulate_grad_batches") or 1
    look = _trained(config, whole, _FEW * accumulated, _FIRST_IMAGES)
    step = look.clock.batch() * accumulated
    image = look.clock.validation / _FIRST_IMAGES or step / whole.batch_size
    count = max(steps, min(_MANY, int(seconds / step))) + _FEW
    images = max(_FIRST_IMAGES, int(seconds / image))
    training = _trained(config, whole, count * accumulated, images)
    threads = torch.get_num_threads()
    began = time.monotonic()
    model = load.load_model(config["folder"])
    end = time.monotonic() - began
    sizes = {split: _count(whole, split) for split in whole.splits}
    return {
        "imports": max(0.0, look.begin - training.begin),
        "begin": training.begin,
        "step": training.clock.batch() * accumulated,
        "epoch_end": training.epoch_end,
        "validation": training.clock.validation / max(1, min(images, sizes.get("val", 0))),
        "evaluation": _evaluation(model, _data(whole, 1, images), config, training.layout),
        "grid": _grid(model, seconds),
        "end": end + training.end,
        "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "device_memory": torch.cuda.max_memory_allocated() or None,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "threads": threads,
        "drawn": not at_hand(whole.image_set),
        "images": sizes,
        "evaluation_batch": training.evaluation_batch,
    }


def _measurable(config: dict[str, Any], folder: str) -> tuple[dict[str, Any], int]:
    """The run as one process for one epoch, in another folder, and how many processes it has.

    Pictures of samples are left out, since their time is measured by itself; W&B stays offline.
    """
    callbacks = {
        name: node
        for name, node in config["callbacks"].items()
        if node and not str(node.get("_target_")).endswith(".SampleGrid")
    }
    logger = {
        name: node | {"offline": True} if "offline" in node else node
        for name, node in config["logger"].items()
        if node
    }
    trainer = {
        **config["trainer"],
        **{"max_epochs": 1, "max_steps": -1, "profiler": None, "limit_val_batches": None},
        **{"check_val_every_n_epoch": 1, "val_check_interval": None},
    }
    processes = _processes(trainer)
    if processes > 1:
        trainer |= {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    changed = {"callbacks": callbacks, "logger": logger, "trainer": trainer}
    return naming.moved(config | changed, folder), processes


def _processes(trainer: dict[str, Any]) -> int:
    counts = (trainer.get("devices"), trainer.get("num_nodes"))
    first, second = (count if isinstance(count, int) and count > 0 else 1 for count in counts)
    return first * second


def _data(whole: PixelDataModule, batches: int, images: int) -> PixelDataModule:
    """The data module with an excerpt of its images, or with images drawn at random."""
    source = whole.image_set
    drawn = Drawn(source, batches * whole.batch_size, images)
    return PixelDataModule(
        Excerpt(source, images) if at_hand(source) else drawn,
        batch_size=whole.batch_size,
        eval_batch_size=whole.eval_batch_size,
        num_workers=whole.num_workers,
        on_device=whole.on_device,
        seed=whole.seed,
    )


def _count(whole: PixelDataModule, split: Any) -> int:
    return whole.image_set.estimated_count(split)


def _training_images(whole: PixelDataModule) -> int:
    """Images of a training epoch: such as the crops that are drawn in it."""
    drawn = whole.image_set.training_set(whole.seed) if at_hand(whole.image_set) else None
    return _count(whole, "train") if drawn is None else len(drawn)  # type: ignore[arg-type]


def _trained(
    config: dict[str, Any], whole: PixelDataModule, batches: int, images: int
) -> _Training:
    """Train for one short epoch, with one validation."""
    began = time.monotonic()
    data = _data(whole, batches, images)
    config = config | {"trainer": config["trainer"] | {"limit_train_batches": batches}}
    ready = run.built(preparation.PreparedRun(config, data, None))
    clock = _Clock()
    ready.trainer.callbacks.append(clock)  # type: ignore[attr-defined]
    with tracking.session(config, ready.loggers) as ready.trainer.loggers:
        ready.trainer.fit(ready.module, data)
    return _Training(
        clock,
        ready.layout,
        data.evaluation_batch or 1,
        begin=clock.first - began,
        epoch_end=clock.done - clock.ends[-1] - clock.validation,
        end=time.monotonic() - clock.done,
    )


def _evaluation(
    model: ImageDistribution, data: PixelDataModule, config: dict[str, Any], layout: devices.Layout
) -> float:
    """Seconds for one image of the exact evaluation; 0 if there is nothing to evaluate."""
    splits = [split for split in (*config["evaluate"], "val", "test") if split in data.splits]
    splits = [split for split in splits if split != "train"]
    if not splits:
        return 0.0
    began = time.monotonic()
    found = evaluate(
        model, data, splits[0], processes=lambda: devices.arguments(layout, config["trainer"])
    )
    return (time.monotonic() - began) / found[f"{splits[0]}/images"]


class _Enough(Exception):
    """The rows so far say how long the rest would take."""


def _grid(model: ImageDistribution, seconds: float) -> float:
    """Seconds for a picture of samples, from as many rows as fit into the time."""
    labels = None if model.classes is None else rows_of_classes(model.classes, GRID)[0]
    n = GRID if labels is None else len(labels)
    rows = 0
    began = time.monotonic()

    def row_done(*_: Any) -> None:
        nonlocal rows
        rows += 1
        if time.monotonic() - began > seconds:
            raise _Enough

    source = draws(n, torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            for _ in model.walk(source, n, labels, on_row=row_done):
                pass
    except _Enough:
        pass
    return (time.monotonic() - began) * model.rows_walked / max(1, rows)
