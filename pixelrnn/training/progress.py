"""The progress of a whole training: a line that fits the terminal, or lines where there is none."""

import time
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from pixelrnn.arguments import Positive, checked
from pixelrnn.data.batches import examples
from pixelrnn.data.sampler import BatchOrder
from pixelrnn.training import steps

_BAR = 10
"""Least width of the bar, in columns."""

_BETWEEN_LOOKS = 0.2
"""Seconds between looks at the metrics, which cost more than a small model's step."""


def fitted(parts: dict[str, str], share: float | None, width: int) -> str:
    """One line of progress that fits into `width` columns.

    Step and times are always whole. Where there is no room, the rate is left out first, then the
    training loss, then the validation's; a bar takes what room is left.

    Args:
        parts: texts by name, in the order in which they are shown.
        share: done of the whole, 0 to 1; None: no bar.
        width: columns of the terminal.
    """
    shown = {name: text for name, text in parts.items() if text}
    for name in ("rate", "train", "val"):
        if len("  ".join(shown.values())) > width:
            shown.pop(name, None)
    line = "  ".join(shown.values())
    room = width - len(line) - 2
    if share is None or room < _BAR:
        return line
    done = round(share * room)
    return f"{'━' * done}{'╌' * (room - done)}  {line}"


class TrainingProgress(ProgressBar):
    """One line for the whole training: step, bits/dim, images/s, time gone and time left.

    Args:
        every_s: seconds between lines where the output is no terminal.
    """

    @checked
    def __init__(self, every_s: Positive = 10) -> None:
        super().__init__()
        self.every_s = every_s
        self._console = Console(stderr=True)
        self._live: Progress | None = None
        self._enabled = True
        self._images = 0
        self._step = self._first_step = 0
        self._steps: int | None = None
        self._numbers: dict[str, str] = {}
        self._started = self._last_line = self._last_look = time.monotonic()

    def disable(self) -> None:
        """Be silent, as Lightning asks of all processes but the first."""
        self._enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and the line if there is a terminal."""
        self._started = self._last_line = time.monotonic()
        self._images = 0
        self._step = self._first_step = trainer.global_step
        self._steps = steps.planned(trainer)
        if self._enabled and self._console.is_terminal:
            self._live = Progress(_Line(self), console=self._console, expand=True)
            self._live.add_task("training", total=self._steps)
            self._live.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images of the batch; log the rate with the other metrics of a step."""
        self._images += images_of(trainer, trainer.train_dataloader, batch, batch_idx)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            pl_module.log("train/images_per_second", self._rate())
        if time.monotonic() - self._last_look >= _BETWEEN_LOOKS:
            self._look(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show what the validation found."""
        if not trainer.sanity_checking:
            self._look(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the line as it stands."""
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Show the cursor again."""
        self._stop()

    def line(self, width: int) -> str:
        """The progress as it is now, in at most `width` columns."""
        elapsed = time.monotonic() - self._started
        done = self._step - self._first_step
        whole, left, share = "", "", None
        if self._steps is not None:
            seconds = elapsed / done * (self._steps - self._step) if done else None
            whole, left = f"/{self._steps}", f", {_clock(seconds)} left"
            share = self._step / max(1, self._steps) if self._live is not None else None
        parts = {
            "step": f"step {self._step}{whole}",
            **self._numbers,
            "unit": "bits/dim" if self._numbers else "",
            "rate": f"{self._rate():.0f} images/s",
            "times": f"{_clock(elapsed)}{left}",
        }
        return fitted(parts, share, width)

    def _look(self, trainer: Trainer) -> None:
        """Take the numbers over, in the thread that trains; print them if it is time for a line."""
        now = self._last_look = time.monotonic()
        metrics = trainer.callback_metrics
        self._step = trainer.global_step
        self._numbers = {
            split: f"{split} {float(metrics[name]):.3f}"
            for split in ("train", "val")
            if (name := f"{split}/bits_per_dim") in metrics
        }
        if self._enabled and self._live is None and now - self._last_line >= self.every_s:
            self._last_line = now
            self._console.print(self.line(10_000), highlight=False, soft_wrap=True, markup=False)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _rate(self) -> float:
        return self._images / max(1e-9, time.monotonic() - self._started)


class _Line(ProgressColumn):
    """Renders the line anew whenever rich refreshes the terminal, also within a long validation."""

    def __init__(self, progress: TrainingProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        """One line that is never wrapped."""
        return Text(self._progress.line(self._progress._console.width), no_wrap=True)


def images_of(trainer: Trainer, loader: Any, batch: Any, index: int) -> int:
    """How many images a batch has, over all processes.

    Args:
        trainer: of the processes.
        loader: that it came from.
        batch: the share of this process.
        index: of the batch in its epoch.
    """
    order = getattr(loader, "sampler", None)
    if isinstance(order, BatchOrder):
        return order.images_in(index)
    return len(examples(batch).images) * trainer.world_size


def _clock(seconds: float | None) -> str:
    """h:mm:ss, or "?" where it is not known yet."""
    if seconds is None:
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
