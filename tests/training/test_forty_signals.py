"""Forty signals at forty moments: every run goes on, and ends as one that nobody disturbed."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from pixelrnn.cli.main import main
from pixelrnn.cli.multirun import jobs
from pixelrnn.errors import Interrupted
from pixelrnn.results import membership
from pixelrnn.training import interruption
from tests.cli.commands import TINY
from tests.training.runs import At, fit, resumed
from tests.training.test_resume import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
HOOKS = [
    ("on_fit_start", 1),
    ("on_train_start", 1),
    ("on_train_epoch_start", 2),
    ("on_train_batch_start", 2),
    ("on_train_batch_start", 7),
    ("on_before_zero_grad", 5),
    ("on_before_backward", 8),
    ("on_after_backward", 3),
    ("on_after_backward", 12),
    ("on_before_optimizer_step", 1),
    ("on_before_optimizer_step", 13),
    ("on_train_batch_end", 1),
    ("on_train_batch_end", 6),
    ("on_train_batch_end", 11),
    ("on_validation_start", 2),
    ("on_validation_batch_start", 3),
    ("on_validation_batch_end", 4),
    ("on_validation_epoch_end", 3),
    ("on_validation_end", 2),
    ("on_save_checkpoint", 2),
    ("on_save_checkpoint", 4),
    ("on_train_epoch_end", 1),
    ("on_train_epoch_end", 3),
    ("on_train_end", 1),
]
CALLS = [
    *(("fsync", times) for times in (1, 3, 6, 10, 15)),
    *(("replace", times) for times in (1, 4, 8, 13)),
    *(("link", times) for times in (1, 3)),
    *(("save", times) for times in (1, 2, 5)),
    *(("backward", times) for times in (4, 9)),
]
"""Within a save, before and after the n-th call to the system; within torch's own work."""

OWNERS = {"save": torch, "backward": torch.Tensor}
MOMENTS = [(moment, SIGNALS[n % 3]) for n, moment in enumerate([*HOOKS, *CALLS])]


class Requeued(SystemExit):
    """What a cluster's handler ends the process with."""


def requeue(number, frame):
    raise Requeued(0)


@pytest.fixture(autouse=True)
def scheduler():
    """A cluster's handler for SIGUSR1, as submitit installs one; all are put back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGUSR1, requeue)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    fit(folder)
    return folder


def at_a_call(patch, name, times, number):
    """A signal before the n-th call of a function, which is then carried out."""
    owner, left = OWNERS.get(name, os), [times]
    real = getattr(owner, name)

    def call(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(number)
        return real(*arguments, **options)

    patch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("moment", "number"), MOMENTS, ids=lambda part: getattr(part, "name", str(part))
)
def test_every_run_goes_on_to_the_last_bit(tmp_path, whole, monkeypatch, moment, number):
    name, times = moment

    def disturbed():
        with interruption.watching():
            if moment in HOOKS:
                hook = At(name, times, lambda: signal.raise_signal(number))
                fit(tmp_path, hook, minutes=1e-9)
            else:
                fit(tmp_path, minutes=1e-9)

    with monkeypatch.context() as patch:
        if moment in CALLS:
            at_a_call(patch, name, times, number)
        with pytest.raises((Interrupted, Requeued)) as caught:
            disturbed()
    if number != signal.SIGUSR1:
        assert caught.value.exit_code == 128 + number
    assert interruption.current() is None
    assert not list(tmp_path.rglob("*.tmp"))
    resumed(tmp_path)
    assert_same_run(whole, tmp_path)


def test_there_are_forty_of_them():
    assert len(set(MOMENTS)) == len(MOMENTS) >= 40
    assert {number for _, number in MOMENTS} == set(SIGNALS)


SWEEP = [*TINY, "evaluate=[val]", "-m", "seed=0,1,2"]


def results():
    found = [json.loads(path.read_text()) for path in Path("runs").glob("*/results.json")]
    return {record["signature"]: record["metrics"] for record in found}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_between_and_around_the_jobs_of_a_sweep(number, monkeypatch, capfd):
    """Before a job's note, after it, and once the job is done: each time what is left is done."""
    assert main([*SWEEP, "paths.runs=whole"]) == 0
    for job, state in ((0, "started"), (1, "started"), (1, "finished"), (2, "resumed")):
        write, struck = membership.write, []

        def strike(folder, note, job=job, state=state, write=write, struck=struck):
            write(folder, note)
            if (note.number, note.state) == (job, state) and not struck:
                struck.append(note)
                signal.raise_signal(number)

        with monkeypatch.context() as patch:
            patch.setattr(membership, "write", strike)
            code = main(SWEEP)
        assert code in (0, 128 + number)
        if code:
            assert jobs.AGAIN in capfd.readouterr().err
            assert len(results()) < 3
    assert main(SWEEP) == 0
    expected = [json.loads(path.read_text()) for path in Path("whole").glob("*/results.json")]
    assert results() == {record["signature"]: record["metrics"] for record in expected}
