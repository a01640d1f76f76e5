"""A run and the process that it runs in: its settings, its threads, Ctrl-C."""

import signal
import threading

import pytest
import torch

from pixelrnn.errors import ConfigError
from pixelrnn.training import run
from tests.process_state import state_of_the_process
from tests.training.test_run import config

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def test_the_process_is_as_before(monkeypatch):
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    before = state_of_the_process()
    run.train(config(threads=2, trainer__deterministic=True, trainer__benchmark=True))
    assert state_of_the_process() == before
    with pytest.raises(ConfigError):
        run.train(config(trainer__accumulate_grad_batches=0))
    assert state_of_the_process() == before


def test_the_result_does_not_depend_on_the_process():
    torch.manual_seed(1)
    first = run.train(config(folder="one"))
    torch.manual_seed(2)
    torch.rand(3)
    second = run.train(config(folder="two"))
    assert first["metrics"] == second["metrics"]


def test_in_another_thread():
    found = []
    worker = threading.Thread(target=lambda: found.append(run.train(config())))
    worker.start()
    worker.join()
    assert found[0]["steps"] == 2


def test_ctrl_c_is_a_keyboard_interrupt():
    from pixelrnn.training import callbacks

    class Presses(callbacks.Callback):
        def on_train_batch_start(self, *_):
            signal.raise_signal(signal.SIGINT)

    callbacks.Presses = Presses
    try:
        node = {"_target_": "pixelrnn.training.callbacks.Presses"}
        with pytest.raises(KeyboardInterrupt):
            run.train(config(callbacks__presses=node))
    finally:
        del callbacks.Presses
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
