"""What is logged to W&B: every row once, and nothing that W&B raises stops a training.

A run logs the same rows in the same order however often it is interrupted. So rows are counted, and
those that a server has already are passed over, whether an earlier process sent them while it
trained or `pixelrnn sync` did later.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pytorch_lightning.loggers import WandbLogger

from pixelrnn.training import process

LAST_WORDS = 10.0
"""Seconds that a W&B which failed has to end; a call to one that hangs waits 30 seconds before."""


class Guard:
    """Takes the place of a logger's methods.

    Args:
        logger: its W&B run has just begun.
        sent: says how many rows, pictures included, the server has; asked once.

    Attributes:
        broken: W&B failed, and is not asked again.
    """

    def __init__(self, logger: WandbLogger, sent: Callable[[], int]) -> None:
        self.broken = False
        self._logger = logger
        self._ask = sent
        self._sent: int | None = None
        self._seen = 0
        self._last: Any = None
        methods: Any = logger  # whose methods these replace
        methods.log_metrics = self._safe(self._once(logger.log_metrics))
        methods.log_image = self._safe(logger.log_image)

    def _once(self, log: Callable[..., None]) -> Callable[..., None]:
        """Log a row unless it was logged before.

        The same row twice in turn is one, as in metrics.csv: a state that is saved in the middle of
        an epoch has the row of its step, which Lightning logs again (`saving.RunCheckpoints`).
        """

        def once(*args: Any, **settings: Any) -> None:
            if (args, settings) == self._last:
                return
            self._last = args, settings
            self._seen += 1
            if self._sent is None:
                self._sent = self._ask()
            if self._seen <= self._sent:
                return
            run: Any = self._logger.experiment
            if run.step < self._sent:  # a file that goes on where those before it end
                run.log({}, step=self._sent, commit=False)
            log(*args, **settings)

        return once

    def _safe(self, work: Callable[..., None]) -> Callable[..., None]:
        """What W&B raises, as when its own process died, is one line; then it is left alone."""

        def attempt(*args: Any, **settings: Any) -> None:
            if self.broken:
                return
            try:
                work(*args, **settings)
            except Exception as error:  # wandb raises many types
                self.broken = True
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                process.say(
                    f"W&B failed ({reason}); training goes on without it, and metrics.csv keeps "
                    "the curves"
                )

        return attempt


def end(guards: Sequence[Guard], exit_code: int) -> None:
    """Finish W&B, so that the next run of this process begins one of its own.

    Its own process may have been killed, or hang: what is not over in `LAST_WORDS` seconds goes on
    without us, and the next run starts another process.

    Args:
        guards: of the loggers.
        exit_code: by which W&B shows how the run ended.
    """
    import wandb
    from wandb.sdk.lib import module

    if not any(guard.broken for guard in guards):
        with contextlib.suppress(Exception):  # the record of truth is written without W&B
            wandb.finish(exit_code=exit_code)
        if wandb.run is None:
            return

    def leave() -> None:
        with contextlib.suppress(Exception):
            wandb.teardown(exit_code=1)

    thread = threading.Thread(target=leave, name="end of wandb", daemon=True)
    thread.start()
    thread.join(LAST_WORDS)
    module.unset_globals()
