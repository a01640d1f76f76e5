"""A disc that is really full, at any moment of a run that logs to W&B."""

import contextlib
import errno
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from pixelrnn.cli.main import main
from pixelrnn.training import evaluate
from pixelrnn.training.saving import RunCheckpoints
from tests.cli.test_tracking import WITH_WANDB

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
WORDS = [*WITH_WANDB, "trainer.max_epochs=2", "evaluate=[val]"]


@pytest.fixture
def disc(tmp_path):
    """A folder that is a disc of 4 MB."""
    folder = tmp_path / "disc"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount")
    if done.returncode:
        pytest.skip(f"only root can mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder, spare=0):
    """Take all space but so many bytes."""
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    with open(folder / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
        file.write(bytes(max(0, free - spare)))
        if not spare:
            while True:
                file.write(bytes(512))


def in_step(number):
    def strike(patch, full):
        start = RunCheckpoints.on_train_batch_start

        def then(self, trainer, *more):
            if trainer.global_step == number:
                full()
            start(self, trainer, *more)

        patch.setattr(RunCheckpoints, "on_train_batch_start", then)

    return strike


def before_the_start(patch, full):
    full(100_000)


def with_the_last_bytes(patch, full):
    in_step(3)(patch, lambda: full(20_000))


def in_the_evaluation(patch, full):
    work = evaluate.evaluate_splits

    def then(*arguments, **options):
        full()
        return work(*arguments, **options)

    patch.setattr("pixelrnn.training.run.evaluate_splits", then)


MOMENTS = [before_the_start, in_step(2), in_step(11), in_step(15), with_the_last_bytes]
MOMENTS += [in_the_evaluation]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main([*WORDS, "logger=csv", f"folder={folder}"]) == 0
    return outcome(folder)


def outcome(run):
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    timed = [i for i, name in enumerate(rows[0]) if "per_second" in name]
    kept = [[cell for i, cell in enumerate(row) if i not in timed] for row in rows]
    return json.loads((run / "results.json").read_text())["metrics"], kept


@pytest.mark.parametrize("moment", range(len(MOMENTS)))
def test_the_message_names_a_file_and_nothing_is_lost(
    disc, undisturbed, monkeypatch, capfd, moment
):
    start = time.monotonic()
    with monkeypatch.context() as patch:
        MOMENTS[moment](patch, lambda spare=0: fill(disc, spare))
        code = main([*WORDS, f"folder={disc}/run"])
    err = capfd.readouterr().err
    assert "Traceback" not in err, err
    assert time.monotonic() - start < 120
    (line,) = [line for line in err.splitlines() if "No space left" in line]
    assert code == 2, err
    assert line.startswith(f"pixelrnn: {disc}/run")
    assert os.strerror(errno.ENOSPC) in line
    assert "free some space" in line
    (disc / "filler").unlink()
    assert main([*WORDS, f"folder={disc}/run"]) == 0
    assert outcome(disc / "run") == undisturbed
    assert not list(Path(disc).rglob("*.tmp"))
