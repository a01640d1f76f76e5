"""Killed or interrupted and resumed equals uninterrupted, to the last bit, wherever it was."""

import contextlib
import signal
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from pixelrnn.errors import Interrupted
from pixelrnn.models import DiagonalBiLSTM, PixelSNAIL, RowLSTM
from pixelrnn.training import checkpoint, interruption
from pixelrnn.training.checkpoint import AtomicCheckpointIO
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
    """Both checkpoints and the curves are the same; of the progress, the counts that go on."""
    for name in ("best", "last"):
        ours, theirs = state(one, name), state(other, name)
        for content in (ours, theirs):
            epochs = content.pop("loops")["fit_loop"]["epoch_progress"]["current"]
            content["epochs"] = epochs["processed"], epochs["completed"]
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


def every_third_fast(cases):
    """The others are slow tests: each is a training or two."""
    slow = [pytest.param(case, marks=pytest.mark.slow) for case in cases]
    return [case if index % 3 == 0 else slow[index] for index, case in enumerate(cases)]


@pytest.mark.parametrize("moment", every_third_fast(MOMENTS), ids=str)
def test_interrupted_equals_uninterrupted(tmp_path, whole, moment):
    with pytest.raises(Interrupted) as caught, interruption.watching():
        fit(tmp_path, At(*moment, interrupt()))
    assert caught.value.exit_code == 130
    resumed(tmp_path)
    assert_same_run(whole(), tmp_path)


@pytest.mark.parametrize("moment", every_third_fast(MOMENTS[::2]), ids=str)
def test_killed_equals_uninterrupted(tmp_path, whole, moment):
    """Also the part of the curves that was written after the last checkpoint is not doubled."""
    with pytest.raises(Killed):
        fit(tmp_path, At(*moment, kill), minutes=1e-9)  # a save after every step
    resumed(tmp_path)
    assert_same_run(whole(), tmp_path)


@pytest.mark.parametrize(
    "options",
    every_third_fast(
        [
            {"workers": 2},
            {"decay": None},
            {"val_check_interval": 4},  # twice in an epoch, and not at its end
            {"limit_val_batches": 0},
            {"check_val_every_n_epoch": 2},
            {"max_steps": 10},  # ends within an epoch
            {"accumulate_grad_batches": 4},  # the last step of an epoch has two batches
            {"accumulate_grad_batches": 4, "val_check_interval": 3},  # validates within a step
            {"kind": RowLSTM},
            {"kind": DiagonalBiLSTM},
            {
                "kind": partial(PixelSNAIL, dropout=0.5, convolutions=1),
                "accumulate_grad_batches": 2,
            },
        ]
    ),
    ids=str,
)
@pytest.mark.parametrize("at", [pytest.param(6, marks=pytest.mark.slow), 9])
def test_with_other_settings(tmp_path, whole, options, at):
    """Interrupted in the middle of a batch, then killed in the next but one, then let go on."""
    with pytest.raises(Interrupted), interruption.watching():
        fit(tmp_path, At("on_after_backward", at, interrupt()), **options)
    with contextlib.suppress(Killed):  # or it came to its end before
        resumed(tmp_path, At("on_train_batch_start", 3, kill), minutes=1e-9, **options)
    resumed(tmp_path, **options)
    assert_same_run(whole(**options), tmp_path)


@pytest.mark.parametrize("moment", MOMENTS[1::3], ids=str)
def test_a_second_signal_leaves_at_once_and_saves_nothing(tmp_path, moment):
    def twice():
        before.update(files(tmp_path))
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    before = {}
    with pytest.raises(Interrupted) as caught, interruption.watching():
        fit(tmp_path, At(*moment, twice))
    assert caught.value.exit_code == 143
    assert files(tmp_path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_no_interruption_touches_the_best_checkpoint(tmp_path, error):
    """Of a training that gets worse and worse after its first epoch."""

    def fail():
        before.update(files(tmp_path))
        raise error

    before = {}
    with pytest.raises((error, SystemExit)):
        fit(tmp_path, At("on_train_batch_end", 10, fail), lr=3.0)
    assert files(tmp_path) == before
    best = state(tmp_path, "best")
    assert best["global_step"] == STEPS_PER_EPOCH
    with pytest.raises(Interrupted), interruption.watching():
        resumed(tmp_path, At("on_train_batch_end", 2, interrupt()), lr=3.0)
    after = files(tmp_path)
    assert after.pop("last.ckpt") != before.pop("last.ckpt")
    assert after["best.ckpt"] == before["best.ckpt"]
    assert state(tmp_path)["global_step"] == STEPS_PER_EPOCH + 2


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / "checkpoints").glob("*.ckpt")}


def test_a_training_that_early_stopping_ended_stays_ended(tmp_path):
    """Killed after the last validation: the resumed run does no further step."""
    options = {"lr": 3.0, "max_epochs": 4, "patience": 1}
    fit(tmp_path / "whole", **options)
    assert state(tmp_path / "whole")["global_step"] == 2 * STEPS_PER_EPOCH
    with pytest.raises(Killed):
        fit(tmp_path / "killed", At("on_train_epoch_end", 2, kill), **options)
    resumed(tmp_path / "killed", **options)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_last_is_saved_every_few_minutes(tmp_path, monkeypatch):
    steps = []

    def look():
        if (tmp_path / "checkpoints" / "last.ckpt").is_file():
            steps.append(state(tmp_path)["global_step"])

    class Look(pl.Callback):
        def on_train_batch_start(self, *_):
            look()

    fit(tmp_path, Look(), minutes=1e-9, max_epochs=1, limit_val_batches=0)
    assert steps == [1, 2, 3, 4, 5]


def test_nothing_in_a_checkpoint_needs_pickle(tmp_path):
    fit(tmp_path, max_epochs=1)
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint
    for name in ("last", "best"):
        assert unsafe(tmp_path / "checkpoints" / f"{name}.ckpt") == []


def test_the_best_so_far_of_a_run_of_version_0_1_0_is_kept(tmp_path):
    """It was in the state of Lightning's ModelCheckpoint."""
    fit(tmp_path, max_epochs=1)
    path = tmp_path / "checkpoints" / "last.ckpt"
    content = checkpoint.read(path)
    content["callbacks"]["ModelCheckpoint{}"] = {"best_model_score": torch.tensor(0.5)}
    del content["callbacks"]["RunCheckpoints"], content["should_stop"], content["curve_rows"]
    AtomicCheckpointIO().save_checkpoint(content, path)
    before = files(tmp_path)["best.ckpt"]
    resumed(tmp_path, max_epochs=2)
    assert files(tmp_path)["best.ckpt"] == before
    assert state(tmp_path)["callbacks"]["RunCheckpoints"]["best"] == 0.5


@pytest.mark.parametrize("moment", [("on_train_batch_end", 9), ("on_train_batch_start", 13)])
def test_a_damaged_last_falls_back_to_the_one_before_and_ends_the_same(tmp_path, whole, moment):
    """Killed, and then the disc damages last.ckpt: fewer steps are kept, none is wrong."""
    with pytest.raises(Killed):
        fit(tmp_path, At(*moment, kill), minutes=1e-9)
    before = state(tmp_path)["global_step"]
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"half")
    found = checkpoint.to_resume(tmp_path)
    assert found.path.name == "last-previous.ckpt"
    assert before - 1 <= found.step <= before
    fit(tmp_path, resume=found.path)
    assert_same_run(whole(), tmp_path)


def test_a_fallen_back_resume_from_best_goes_on(tmp_path):
    fit(tmp_path, max_epochs=2)
    for name in ("last", "last-previous"):
        (tmp_path / "checkpoints" / f"{name}.ckpt").write_bytes(b"half")
    best = checkpoint.to_resume(tmp_path).path
    assert best.name == "best.ckpt"
    fit(tmp_path, resume=best)
    assert state(tmp_path)["global_step"] == 3 * STEPS_PER_EPOCH
