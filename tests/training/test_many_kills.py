"""One run that is killed forty times and more, and a hundred kills while a state is saved."""

import os
import random
import signal
import time
import traceback

import pytest
import torch

from pixelrnn.models import DiagonalBiLSTM, PixelCNN, RowLSTM
from pixelrnn.training import checkpoint
from pixelrnn.training.checkpoint import AtomicCheckpointIO, Keep
from tests.training.runs import At, fit, rows, state
from tests.training.test_checkpoint import RESUMABLE
from tests.training.test_resume import assert_equal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

MODELS = [PixelCNN, RowLSTM, DiagonalBiLSTM]
HOOKS = ["on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end"]
EPOCHS = 8


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of the uninterrupted run of a model."""
    found = {}

    def of(kind):
        if kind not in found:
            found[kind] = tmp_path_factory.mktemp("whole")
            fit(found[kind], kind=kind, max_epochs=EPOCHS, patience=100)
        return found[kind]

    return of


def forked(work):
    """Let a child of this process work; returns its exit status. The imports are there already."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_a_save(times):
    """-9 at the n-th rename, link or flush of a file from here on."""
    left = [times]

    def dying(real):
        def call(*arguments):
            left[0] -= 1
            if left[0] == 0:
                kills_itself()
            return real(*arguments)

        return call

    for name in ("replace", "link", "fsync"):
        setattr(os, name, dying(getattr(os, name)))


@pytest.mark.parametrize("kind", MODELS)
def test_killed_forty_times(tmp_path, whole, kind):
    """By -9, at hooks and between the system calls of a save, which comes after each step."""
    draw, kills = random.Random(str(kind)), 0

    def child():
        """Draws from a copy of the generator."""
        if draw.random() < 0.5:
            kill_in_a_save(draw.randint(1, 30))
            resumed_once()
        else:
            resumed_once(At(draw.choice(HOOKS), draw.randint(1, 2), kills_itself))

    def resumed_once(*callbacks):
        found = checkpoint.to_resume(tmp_path)
        options = {"minutes": 1e-9, "kind": kind, "max_epochs": EPOCHS, "patience": 100}
        fit(tmp_path, *callbacks, resume=found and found.path, **options)

    while (status := forked(child)) != 0:
        assert status == -signal.SIGKILL
        kills += 1
        draw.random()
        assert kills < 300
    print(f"{kind.__name__}: killed {kills} times")
    assert kills >= 40
    for name in ("best", "last"):
        ours, theirs = (state(run, name) for run in (whole(kind), tmp_path))
        for content in (ours, theirs):
            del content["loops"], content["curve_rows"]
        assert_equal(ours, theirs, name)
    assert rows(tmp_path) == rows(whole(kind))


def test_a_hundred_kills_while_saving(tmp_path, monkeypatch):
    """With TMPDIR on another file system, where a move is a copy: none leaves a damaged state."""
    other = "/dev/shm"
    if not os.path.isdir(other) or os.stat(other).st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system here")
    monkeypatch.setenv("TMPDIR", other)
    weights = {"state_dict": {"w": torch.arange(2_000_000.0)}}
    folder, draw = tmp_path / "checkpoints", random.Random(1)

    def save(step):
        content = {**RESUMABLE, **weights, "global_step": step}
        keep = Keep(folder / checkpoint.PREVIOUS)
        AtomicCheckpointIO().save_checkpoint(content, folder / checkpoint.LAST, keep)

    def child():
        step = checkpoint.to_resume(tmp_path).step
        while True:
            step += 1
            save(step)

    save(1)
    start = time.monotonic()
    save(2)
    each = time.monotonic() - start
    steps, left = [2], []
    for _ in range(100):
        process = os.fork()
        if process == 0:
            try:
                child()
            finally:
                os._exit(1)
        time.sleep(draw.uniform(0, 4 * each))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        for name in (checkpoint.LAST, checkpoint.PREVIOUS):
            checkpoint.read(folder / name)  # both pass their check
        steps.append(checkpoint.to_resume(tmp_path).step)
        left.append(sum(path.name.endswith(".tmp") for path in folder.iterdir()))
    assert steps == sorted(steps)
    print(f"{len(set(steps)) - 1} of 100 children saved; {left[-1]} killed within a file")
    assert left[-1] > 10  # so many kills hit a file that was being written
