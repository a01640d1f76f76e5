"""Which kernels a run takes, and why, in its environment.json as soon as they are known."""

import contextlib
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from pixelrnn.ops import choices
from pixelrnn.runs import record


class KernelNotes(Callback):
    """Writes the lines of `ops.choices` under `kernels`, whenever there are new ones.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._written = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what an earlier run of this process took."""
        choices.forget()
        self._written = 0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Look after every batch: what is measured is known only after some."""
        self._write(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look after a validation, whose batches have another shape."""
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        lines = choices.lines()
        if trainer.is_global_zero and len(lines) != self._written:
            self._written = len(lines)
            with contextlib.suppress(OSError):  # it is told again in results.json
                record.note(self.run, kernels=lines)
