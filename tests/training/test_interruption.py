"""Signals: what waits, what leaves at once, whose handlers are called, and what is restored."""

import signal
import threading

import pytest

from pixelrnn.errors import Interrupted
from pixelrnn.training import interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]


@pytest.fixture(autouse=True)
def handlers():
    """Handlers are those of before after each test, and each test may set its own."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def watched(act):
    with interruption.watching():
        act(interruption.current())
        pytest.fail("went on")


def test_outside_of_training_a_signal_takes_effect_at_once():
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = [signal.getsignal(other) for other in SIGNALS]
        with pytest.raises(Interrupted) as caught:
            watched(lambda watch, number=number: signal.raise_signal(number))
        assert caught.value.exit_code == code
        assert isinstance(caught.value, KeyboardInterrupt)
        assert [signal.getsignal(other) for other in SIGNALS] == before
        assert interruption.current() is None


def test_in_training_the_first_waits_and_the_second_does_not():
    def act(watch):
        watch.waits = True
        signal.raise_signal(signal.SIGTERM)
        assert watch.asked
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        watched(act)
    assert caught.value.signal_number == signal.SIGINT
    assert "nothing was saved" in str(caught.value)


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruption.watching():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_requeue_comes_before_the_end():
    """As submitit does: it lets SIGTERM pass, and requeues the job at SIGUSR2."""
    calls = []

    def requeue(number, frame):
        calls.append("requeued")
        raise SystemExit(-1)

    def act(watch):
        watch.waits = True
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGUSR2)
        assert calls == []
        assert watch.asked
        watch.leave_if_asked()

    signal.signal(signal.SIGTERM, lambda *_: calls.append("passed"))
    signal.signal(signal.SIGUSR2, requeue)
    with pytest.raises(SystemExit):
        watched(act)
    assert calls == ["requeued"]
    assert signal.getsignal(signal.SIGUSR2) is requeue


@pytest.mark.parametrize("waits", [True, False])
def test_sigterm_ends_the_work_even_if_a_scheduler_lets_it_pass(waits):
    """SLURM kills a requeued job a little later: what it did until then would be lost."""
    calls = []

    def act(watch):
        watch.waits = waits
        signal.raise_signal(signal.SIGTERM)
        assert waits
        watch.leave_if_asked()

    signal.signal(signal.SIGTERM, lambda *_: calls.append("passed"))
    with pytest.raises(Interrupted, match="SIGTERM"):
        watched(act)
    assert calls == ["passed"]


def test_a_handler_that_came_later_is_called_and_kept():
    """As Lightning does on a SLURM cluster when a fit begins."""
    calls = []

    def requeue(number, frame):
        calls.append(number)

    with interruption.watching():
        watch = interruption.current()
        signal.signal(signal.SIGUSR1, requeue)
        watch.take_over()
        watch.waits = True
        signal.raise_signal(signal.SIGUSR1)
        assert calls == []
        watch.leave_if_asked()
    assert calls == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is requeue


def test_a_signal_without_handler_is_left_alone():
    with interruption.watching():
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_in_another_thread_nothing_is_installed():
    found = []

    def work():
        with interruption.watching():
            found.append(signal.getsignal(signal.SIGINT))
            found.append(interruption.current())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler, None]


def test_a_keyboard_interrupt_that_lightning_swallowed_comes_out():
    def act(watch):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemExit(1)  # noqa: B904

    with pytest.raises(Interrupted):
        watched(act)
