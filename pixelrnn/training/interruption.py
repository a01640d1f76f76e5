"""Stopping a run by a signal: the first one waits until the state is saved, the second does not.

Python raises KeyboardInterrupt between any two lines, also between the optimiser's step and the
count of that step, and Lightning's own handlers save while averaged weights are in the model's
place. A state saved then does not resume to the last bit. So while training runs, a signal is only
noted; `RunCheckpoints` saves at the end of the optimiser's step and leaves there.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pixelrnn.errors import Interrupted
from pixelrnn.training import requeue, world

_STOPS = (signal.SIGINT, signal.SIGTERM)
_OF_CLUSTERS = tuple(
    getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
"""Signals by which schedulers announce that a job will end; their handlers requeue it."""

Handler = Callable[[int, FrameType | None], Any]


_LATE = 0
"""Stands among the numbers of signals for "it is time to save"."""


class Stop(BaseException):
    """Ends Lightning's loops. It is no `KeyboardInterrupt`: on that Lightning calls `sys.exit`."""


class Watch:
    """What arrived, and whether it has to wait.

    Attributes:
        waits: a signal waits until a state is saved; else it takes effect at once.
        saved: what is on disc, for the message.
    """

    def __init__(self) -> None:
        self.waits = False
        self.saved = "nothing was saved yet; the same command begins anew"
        self._arrived: list[int] = []
        self._requeued = False
        self._before: dict[int, Any] = {}
        self._schedulers: dict[int, Handler] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal waits."""
        return bool(self._arrived)

    def agree(self, late: bool = False) -> bool:
        """Take over the signals that wait in any process of the run; all processes call this.

        Args:
            late: this process asks for the state to be saved, signal or not.

        Returns:
            Whether one of them is late or a signal waits: the same in all processes.
        """
        found = world.united({*self._arrived, *([_LATE] if late else [])})
        self._arrived += sorted(found - {_LATE, *self._arrived})
        return bool(found)

    def take_over(self) -> None:
        """Handle the signals here; a scheduler's handlers are called after the state is saved.

        Called again when training starts, since Lightning registers handlers of its own. Signals
        that the process ignores stay ignored.
        """
        first = not self._before
        for number in (*_STOPS, *_OF_CLUSTERS):
            present = signal.getsignal(number)
            if present in (None, signal.SIG_IGN, self._handle):
                continue
            if number == requeue.SIGNAL and present is signal.SIG_DFL and requeue.is_ours():
                self._schedulers[number] = requeue.ask
                self._before[number] = present
                signal.signal(number, self._handle)
                continue
            if callable(present) and present is not signal.default_int_handler:
                if first or number in _OF_CLUSTERS:
                    self._schedulers[number] = present
            elif number in _OF_CLUSTERS:
                continue
            if first:
                self._before[number] = present
            signal.signal(number, self._handle)

    def give_back(self) -> None:
        """Install the handlers that were there before, and those of schedulers that came later."""
        for number, handler in (self._schedulers | self._before).items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)

    def leave_if_asked(self) -> None:
        """Leave if a signal waits in any process, now that the state is saved; all call this.

        A scheduler's handler is called, that of a requeue before that of SIGTERM. If it returns,
        the work goes on, but for SIGTERM: whoever sends it kills the process a little later.

        Raises:
            Stop: SIGTERM, or there is no handler of a scheduler.
        """
        if not self.agree():
            return
        arrived, self._arrived = self._arrived, []
        for number in sorted(arrived, key=lambda number: number in _STOPS):
            self._act(number, None)
        with _gone(arrived[0]):
            world.united(set())  # a scheduler's handler may have ended another process here

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first = number not in self._arrived and all(
            other in self._schedulers for other in self._arrived
        )
        if self.waits and first:
            self._arrived.append(number)
        else:
            self._act(number, frame)

    def _act(self, number: int, frame: FrameType | None) -> None:
        if number in self._schedulers:
            handler = self._schedulers[number]
            if handler is not requeue.ask:
                handler(number, frame)
            elif not self._requeued:  # each process of a job gets the signal, not at the same time
                self._requeued = requeue.ask(number, frame)
            if number != signal.SIGTERM:
                return
        raise Stop(number)


@contextmanager
def _gone(number: int) -> Iterator[None]:
    """Leave for the signal if another process of the run has left for it."""
    try:
        yield
    except RuntimeError:
        raise Stop(number) from None


_watch: Watch | None = None


def current() -> Watch | None:
    """The watch of the block that this process is in; None outside of `watching`."""
    return _watch


def saved() -> str:
    """What is on disc, and how the work goes on, for messages."""
    return Watch().saved if _watch is None else _watch.saved


@contextmanager
def watching() -> Iterator[None]:
    """Watch for SIGINT and SIGTERM while a run is trained, evaluated and sampled.

    While Lightning trains, the first signal waits for the end of the optimiser's step, so that
    last.ckpt can be written; at all other times, and the second time, it takes effect at once.
    Does nothing but in the main thread, since Python allows handlers there only.

    Raises:
        Interrupted: a signal arrived.
    """
    global _watch
    if threading.current_thread() is not threading.main_thread() or _watch is not None:
        yield
        return
    watch = _watch = Watch()
    try:
        watch.take_over()
        yield
    except Stop as stop:
        number = signal.Signals(stop.args[0])
        raise Interrupted(number, f"interrupted by {number.name}; {watch.saved}") from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # which Lightning turned into this
            raise Interrupted(signal.SIGINT, f"interrupted; {watch.saved}") from None
        raise
    finally:
        watch.give_back()
        _watch = None
