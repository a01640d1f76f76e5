"""How far an exact pass over a split has come: a bar on a terminal, lines elsewhere."""

import sys
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from pixelrnn.training.progress import images_of


class EvaluationProgress(Callback):
    """Shows the images done of a test pass, on stderr.

    Args:
        split: its name.
        images: number of images in it.
        every_s: seconds between lines where stderr is no terminal; a shorter pass is silent there.
    """

    def __init__(self, split: str, images: int, every_s: float = 10) -> None:
        self.split = split
        self.images = images
        self.every_s = every_s
        self._done = 0
        self._bar: tqdm[Any] | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, and the bar on a terminal."""
        self._started = self._last_line = time.monotonic()
        if sys.stderr.isatty() and trainer.is_global_zero:
            self._bar = tqdm(
                total=self.images, desc=f"evaluating {self.split}", unit="image", leave=False
            )

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the images of a batch."""
        count = images_of(trainer, trainer.test_dataloaders, batch, batch_idx)
        self._done += count
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(count)
        elif now - self._last_line >= self.every_s and trainer.is_global_zero:
            self._last_line = now
            left = (now - self._started) * (self.images - self._done) / self._done
            print(
                f"evaluating {self.split}: {self._done}/{self.images} images, "
                f"{max(0.0, left) / 60:.1f} min left",
                file=sys.stderr,
                flush=True,
            )

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Remove the bar, so that the error stands on a line of its own."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
