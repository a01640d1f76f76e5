"""Killed or interrupted and resumed equals uninterrupted, to the last bit, wherever it was."""

import signal

import pytest
import torch

from pixelrnn.errors import Interrupted
from pixelrnn.training import interruption
from tests.training.runs import STEPS_PER_EPOCH, At, fit, resumed, rows, state

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning advises on workers and loggers


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, no checkpoint is written on the way out."""


def kill():
    raise Killed


def interrupt(number=signal.SIGINT):
    return lambda: signal.raise_signal(number)


def assert_equal(one, other, path=""):
    """All tensors and values of two checkpoints are the same."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_equal(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{path}[{index}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


def assert_same_run(one, other):
    """Both checkpoints and the curves are the same; progress counters aside, which count tries."""
    for name in ("best", "last"):
        ours, theirs = state(one, name), state(other, name)
        for content in (ours, theirs):
            content.pop("loops")
        assert_equal(ours, theirs, name)
    assert rows(one) == rows(other)


WHOLE = {}


@pytest.fixture
def whole(tmp_path_factory):
    """Folder of the uninterrupted run with the same options."""

    def of(**options):
        key = str(sorted(options.items(), key=str))
        if key not in WHOLE:
            WHOLE[key] = tmp_path_factory.mktemp("whole")
            fit(WHOLE[key], **options)
        return WHOLE[key]

    return of


MOMENTS = [
    ("on_train_batch_start", 1),
    ("on_train_batch_start", 9),
    ("on_before_zero_grad", 4),
    ("on_after_backward", 9),
    ("on_before_optimizer_step", STEPS_PER_EPOCH),  # the last step of an epoch
    ("on_train_batch_end", 9),
    ("on_train_batch_end", 2 * STEPS_PER_EPOCH),
    ("on_validation_start", 1),
    ("on_validation_epoch_start", 2),
    ("on_validation_batch_end", 2),
    ("on_validation_batch_end", 3),
    ("on_validation_epoch_end", 2),
    ("on_validation_end", 1),
    ("on_validation_end", 3),
    ("on_save_checkpoint", 1),
    ("on_save_checkpoint", 3),
    ("on_train_epoch_end", 2),
    ("on_train_epoch_start", 3),
    ("on_train_end", 1),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_interrupted_equals_uninterrupted(tmp_path, whole, moment):
    with pytest.raises(Interrupted) as caught, interruption.watching():
        fit(tmp_path, At(*moment, interrupt()))
    assert caught.value.exit_code == 130
    resumed(tmp_path)
    assert_same_run(whole(), tmp_path)


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_killed_equals_uninterrupted(tmp_path, whole, moment):
    """Also the part of the curves that was written after the last checkpoint is not doubled."""
    with pytest.raises(Killed):
        fit(tmp_path, At(*moment, kill), minutes=1e-9)  # a save after every step
    resumed(tmp_path)
    assert_same_run(whole(), tmp_path)
