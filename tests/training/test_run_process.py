"""A run and the process that it runs in: its settings, its threads, Ctrl-C."""

import logging
import os
import random
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
import torch

from pixelrnn.errors import ConfigError
from pixelrnn.training import run
from tests.training.test_run import config

pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning advises is not ours to heed


def state_of_the_process():
    return {
        "argv": list(sys.argv),
        "environment": dict(os.environ),
        "threads": torch.get_num_threads(),
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "log": logging.getLogger("pytorch_lightning").level,
        "python": random.getstate()[1][:3],
        "numpy": tuple(np.random.get_state()[1][:3]),
        "torch": torch.get_rng_state().tolist(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "folder": os.getcwd(),
    }


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
