"""When a run writes its checkpoints.

    best.ckpt   after a validation that is better than all before, and at no other time
    last.ckpt   after every validation and epoch, every few minutes, when a signal asks to stop,
                before a validation begins, at the end of the training, and with the state before a
                step whose loss or gradient is not finite

All states are saved between two optimiser steps, never between the batches of one accumulated step.
A signal that arrives in a validation leaves at once: the state before it is on disc, marked so that
the validation is done again.
"""

import contextlib
import math
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from pixelrnn.arguments import checked
from pixelrnn.errors import TrainingError
from pixelrnn.training import checkpoint as checkpoint_files
from pixelrnn.training import interruption, loop_counts, random_state, tracking, world
from pixelrnn.training.csv_log import MetricsCSV

MONITOR = "val/bits_per_dim"

Minutes = Annotated[float, Field(gt=0)]


class _Before(NamedTuple):
    """The moment before an optimiser step.

    Attributes:
        step: optimiser steps that were done.
        batch: the first batch of this step, within the epoch.
        generators: a snapshot of the random generators.
    """

    step: int
    batch: int
    generators: tuple[Any, ...]


class RunCheckpoints(Checkpoint):
    """Writes best.ckpt and last.ckpt of a run, and stops the training when a signal asks for it.

    The last.ckpt before the present one is kept as last-previous.ckpt, should the disc damage one.
    Without validation images best.ckpt is the state after the last epoch. A training that ends
    before its first validation leaves its last state as best.ckpt.

    Args:
        folder: where the checkpoints go.
        every_minutes: longest time between two writes of last.ckpt, but for the time of a step or
            of a validation.
    """

    @checked
    def __init__(self, folder: Path | str, every_minutes: Minutes = 5) -> None:
        self.folder = Path(folder)
        self.every_minutes = every_minutes
        self.best: float | None = None
        self._saved_step = -1
        self._validated_step = -1
        self._saved_at = time.monotonic()
        self._validation_due = False
        self._stops = False
        self._generators: dict[str, Any] | None = None
        self._before: _Before | None = None
        self._rewound = False

    def state_dict(self) -> dict[str, Any]:
        """The best validation so far, and the states of the random generators."""
        rewound = self._before if self._rewound else None
        if rewound is not None:  # of a single process
            return {"best": self.best, "generators": random_state.captured(rewound.generators)}
        return {"best": self.best, "generators": random_state.captured_of_all()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the generators are set when training starts."""
        self.best = state_dict["best"]
        self._generators = state_dict["generators"]

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write the rows so far; keep whether training was to stop or a validation is due."""
        checkpoint["should_stop"] = trainer.should_stop
        for curves in _curves(trainer):
            curves.save()
        checkpoint["curve_rows"] = max((curves.rows for curves in _curves(trainer)), default=0)
        loop_counts.settle_validation(checkpoint["loops"], self._validation_due)
        if self._rewound and self._before is not None:
            loop_counts.rewind(checkpoint["loops"], self._before.batch)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Tell the logger of a resume; note whether the run was about to stop early."""
        self._stops = bool(checkpoint.get("should_stop"))
        for name, state in checkpoint.get("callbacks", {}).items():
            if name.startswith("ModelCheckpoint") and state.get("best_model_score") is not None:
                self.best = float(state["best_model_score"])  # as written by version 0.1.0
        for curves in _curves(trainer):
            tell = partial(tracking.log_again, trainer.loggers)
            curves.resume(checkpoint.get("curve_rows", 0), tell)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let signals wait for the end of a step from here on."""
        self._saved_at = time.monotonic()
        if self._stops:
            _stop_early(trainer)
        if self._generators is not None:
            random_state.restore_own(self._generators)
            self._note_saved(trainer)
        else:
            random_state.set_apart()
        watch = interruption.current()
        if watch is not None:
            watch.take_over()
            watch.waits = True

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Leave if a signal asks for it and the step before is saved; its metrics are logged."""
        if self._saved_step == trainer.global_step:
            self._leave_if_asked()
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._before = None
            if pl_module.device.type == "cpu":  # elsewhere steps are not looked at one by one
                self._before = _Before(trainer.global_step, batch_idx, random_state.snapshot())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time or a signal asks for it, unless a hook that comes next does."""
        epoch = trainer.fit_loop.epoch_loop
        fetcher = trainer.fit_loop._data_fetcher
        assert fetcher is not None
        waits = (
            trainer.fit_loop._should_accumulate()
            or epoch.batch_progress.is_last_batch
            or epoch._should_check_val_fx(fetcher)
        )
        if not waits and self._is_due():
            # Lightning logs this step after this hook only: its row must not come later than the
            # state, else a process that is killed in between loses it
            trainer._logger_connector.update_train_step_metrics()
            self._save_last(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the state before the validation; then signals need not wait."""
        if not _in_training(trainer) or trainer.fit_loop._should_accumulate():
            return
        self._validation_due = True
        self._save_last(trainer)
        watch = interruption.current()
        if watch is not None:
            watch.waits = False
        self._leave_if_asked()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best, then the last state."""
        if not _in_training(trainer):
            return
        watch = interruption.current()
        if watch is not None:
            watch.waits = True
        self._validation_due = False
        score = float(trainer.callback_metrics.get(MONITOR, math.nan))
        if score < (math.inf if self.best is None else self.best):
            self.best = score
            trainer.save_checkpoint(self.folder / checkpoint_files.BEST)
        if not trainer.fit_loop._should_accumulate():
            self._save_last(trainer)
            self._validated_step = trainer.global_step
            self._leave_if_asked()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after an epoch without validation, and leave if a signal asks for it."""
        if self._validated_step != trainer.global_step and not _is_over(trainer):
            if not trainer.enable_validation:
                trainer.save_checkpoint(self.folder / checkpoint_files.BEST)
            self._save_last(trainer)
        self._leave_if_asked()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end, and see that there is a best.ckpt; signals take effect at once now."""
        if self.best is None or not trainer.enable_validation:
            trainer.save_checkpoint(self.folder / checkpoint_files.BEST)
        self._save_last(trainer)
        self._let_signals_through()
        self._leave_if_asked()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save the state before a step that is not finite; of other moments, nothing is known."""
        before, self._rewound = self._before, True
        bad_step = isinstance(exception, TrainingError) and trainer.training
        if bad_step and before is not None and before.step == trainer.global_step:
            with contextlib.suppress(TrainingError, OSError):  # what went wrong first is told
                if world.size() == 1:  # others may not come to save with this process
                    self._save_last(trainer)
        self._let_signals_through()

    def _is_due(self) -> bool:
        """Whether all processes are to save now: asked of all of them, after each step."""
        late = time.monotonic() - self._saved_at >= 60 * self.every_minutes
        watch = interruption.current()
        return bool(world.united({1} if late else set())) if watch is None else watch.agree(late)

    def _save_last(self, trainer: Trainer) -> None:
        kept = checkpoint_files.Keep(self.folder / checkpoint_files.PREVIOUS)
        trainer.save_checkpoint(self.folder / checkpoint_files.LAST, storage_options=kept)
        self._saved_at = time.monotonic()
        self._note_saved(trainer)

    def _note_saved(self, trainer: Trainer) -> None:
        self._saved_step = trainer.global_step
        watch = interruption.current()
        if watch is not None:
            watch.saved = f"the same command goes on from step {trainer.global_step}"

    def _leave_if_asked(self) -> None:
        watch = interruption.current()
        if watch is not None:
            watch.leave_if_asked()

    def _let_signals_through(self) -> None:
        watch = interruption.current()
        if watch is not None:
            watch.waits = False


def _curves(trainer: Trainer) -> list[MetricsCSV]:
    return [logger for logger in trainer.loggers if isinstance(logger, MetricsCSV)]


def _in_training(trainer: Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def _stop_early(trainer: Trainer) -> None:
    """Let a resumed training end at once, with the counts that it had without an interruption.

    Lightning counts the epoch that it breaks off as done. A training that is told to stop before
    it has started would skip its end, and what is done there.
    """
    trainer.should_stop = True
    epochs: Any = trainer.fit_loop.epoch_progress
    if epochs.current.processed < epochs.current.started:
        epochs.increment_processed()
        epochs.increment_completed()
        epochs.current.completed = epochs.current.processed


def _is_over(trainer: Trainer) -> bool:
    """Whether no epoch comes after the one that has just ended.

    `trainer.fit_loop.done` is not asked: it changes the count of epochs.
    """
    loop: Any = trainer.fit_loop
    return (
        (trainer.should_stop and loop._can_stop_early)
        or 0 <= trainer.max_steps <= trainer.global_step
        or 0 <= (loop.max_epochs or -1) <= loop.epoch_progress.current.processed
    )
