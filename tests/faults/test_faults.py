"""Every fault of the table: line, exit code and what is kept are as docs/faults.md says."""

import contextlib
import logging
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from pixelrnn.cli.main import main
from pixelrnn.training.saving import RunCheckpoints
from tests.faults import page
from tests.faults.fault import FINISHED, HALF_DONE, RUN, STOPPED_AT, TRAIN, tree

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A run that nobody disturbed, and one that was interrupted between two validations."""
    root = tmp_path_factory.mktemp("faults")
    with contextlib.chdir(root), pytest.MonkeyPatch.context() as patch:
        assert main(list(TRAIN)) == 0
        shutil.move(RUN, FINISHED)
        start = RunCheckpoints.on_train_batch_start

        def interrupt(self, trainer, *more):
            if trainer.global_step == STOPPED_AT:
                os.kill(os.getpid(), signal.SIGINT)
            start(self, trainer, *more)

        patch.setattr(RunCheckpoints, "on_train_batch_start", interrupt)
        assert main(list(TRAIN)) == 130
        shutil.move(RUN, HALF_DONE)
    return root


def _matches(expected: str, line: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), line) is not None


@pytest.mark.parametrize(
    "fault",
    [fault for faults in page.SECTIONS.values() for fault in faults],
    ids=lambda fault: fault.what.replace("`", "")[:60],
)
def test_what_happens(fault, runs, monkeypatch, capfd, caplog):
    monkeypatch.setenv("UNDISTURBED", str(runs / FINISHED))
    if (runs / fault.start).exists():
        shutil.copytree(runs / fault.start, RUN)
    made = fault.make(monkeypatch)
    before = tree()
    capfd.readouterr()
    with made if hasattr(made, "__enter__") else contextlib.nullcontext():
        code = main(list(fault.command))
    errors = capfd.readouterr().err
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    lines = [*errors.splitlines(), *warned]
    assert code == fault.code, errors
    assert "Traceback" not in errors
    if fault.says:
        assert any(_matches(fault.says, line) for line in lines), "\n".join(lines)
    else:
        assert not [line for line in lines if "data.eval_batch_size=auto" not in line]
    if code == 2:
        assert len([line for line in errors.splitlines() if line.startswith("pixelrnn: ")]) <= 3
    fault.kept.check(before)


def test_the_page_says_what_the_entries_say():
    stored = Path(__file__).parents[2] / "docs" / "faults.md"
    assert stored.read_text() == page.text(), "python -m tests.faults.page writes it anew"


def test_there_are_enough_of_them_and_no_two_are_the_same():
    faults = [fault for faults in page.SECTIONS.values() for fault in faults]
    assert len(faults) >= 30
    assert len({fault.what for fault in faults}) == len(faults)


def test_the_tests_that_stand_elsewhere_are_there():
    root = Path(__file__).parents[2]
    for _, _, test in page.ELSEWHERE:
        assert (root / test).is_file(), test
