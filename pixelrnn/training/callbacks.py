"""Lightning callbacks of our own: sample pictures and the progress of a whole training."""

import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pixelrnn import atomic, pictures
from pixelrnn.arguments import Positive, Seed, checked


class SampleGrid(Callback):
    """Draws images during training: a PNG in the run folder, and an image in W&B.

    The draws have a generator of their own, so that they do not change the training.

    Args:
        folder: where the pictures go.
        n: images in a picture.
        every_n_epochs: how often.
        seed: of the draws; the same at every epoch, so that pictures can be compared.
    """

    @checked
    def __init__(
        self, folder: Path | str, n: Positive = 36, every_n_epochs: Positive = 10, seed: Seed = 0
    ) -> None:
        self.folder = Path(folder)
        self.n = n
        self.every_n_epochs = every_n_epochs
        self.seed = seed

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw with the weights that validation used (their average, if there is one)."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 and not trainer.sanity_checking
        if not due or not trainer.is_global_zero:
            return
        model = pl_module.model
        generator = torch.Generator().manual_seed(self.seed)
        picture = pictures.grid(model.sample(self.n, generator=generator), model.levels)
        with atomic.replacing(self.folder / f"epoch-{epoch:04d}.png", "wb") as file:
            picture.save(file, format="png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("samples", [picture], step=trainer.global_step)


class TrainingProgress(ProgressBar):
    """One bar for the whole training: bits/dim, images/s, time left. Lines where no terminal is.

    Args:
        every_s: seconds between lines where the output is no terminal.
    """

    @checked
    def __init__(self, every_s: Positive = 10) -> None:
        super().__init__()
        self.every_s = every_s
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._enabled = True
        self._images = 0

    def disable(self) -> None:
        """Lightning asks processes other than the first to be silent."""
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock and the bar."""
        self._started = self._last_line = time.monotonic()
        self._first_step = trainer.global_step
        self._steps = max(1, int(trainer.estimated_stepping_batches))
        if self._enabled and self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} steps"),
                TextColumn("{task.fields[numbers]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task(
                "training", total=self._steps, completed=trainer.global_step, numbers=""
            )
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move on."""
        self._images += len(batch) * trainer.world_size
        if self._bar is not None:
            self._bar.update(
                self._task, completed=trainer.global_step, numbers=self._numbers(trainer)
            )
        if trainer.global_step % trainer.log_every_n_steps == 0:
            pl_module.log("train/images_per_second", self._rate())

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A line now and then, where there is no bar."""
        now = time.monotonic()
        if trainer.sanity_checking or self._bar is not None or not self._enabled:
            return
        if now - self._last_line >= self.every_s:
            self._last_line = now
            done = trainer.global_step - self._first_step
            left = (self._steps - trainer.global_step) * (now - self._started) / max(1, done)
            self._console.print(
                f"step {trainer.global_step}/{self._steps}  {self._numbers(trainer)}  "
                f"{left / 60:.1f} min left",
                highlight=False,
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the bar as it stands."""
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _rate(self) -> float:
        return self._images / max(1e-9, time.monotonic() - self._started)

    def _numbers(self, trainer: Trainer) -> str:
        metrics = trainer.callback_metrics
        shown = [
            f"{split} {float(metrics[name]):.3f}"
            for split in ("train", "val")
            if (name := f"{split}/bits_per_dim") in metrics
        ]
        return f"{'  '.join(shown)} bits/dim  {self._rate():.0f} images/s"
