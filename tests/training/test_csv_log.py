"""metrics.csv: cut where a resumed run goes on; damage is said aloud, and what is sound is kept."""

import csv
import logging

import pytest

from pixelrnn.errors import RunError
from pixelrnn.training.csv_log import MetricsCSV


def log_all(folder, events, resume=None):
    logger = MetricsCSV(folder)
    if resume is not None:
        logger.resume(resume)
    for step, metrics in events:
        logger.log_metrics(metrics, step)
        logger.save()
    return logger


def read(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def train(step):
    return step, {"train/nll": 9.0 - step, "epoch": 0}


def val(step):
    return step, {"val/nll": 8.0 - step, "epoch": 0}


EVENTS = [train(0), train(1), val(1), train(2), train(3), val(3), train(4)]


@pytest.fixture
def whole(tmp_path):
    log_all(tmp_path / "whole", EVENTS)
    return (tmp_path / "whole" / "metrics.csv").read_bytes()


@pytest.mark.parametrize("at", range(1, len(EVENTS)))
@pytest.mark.parametrize("more", range(len(EVENTS)))
def test_resumed_anywhere_it_is_the_same_file(tmp_path, whole, at, more):
    log_all(tmp_path, EVENTS[: at + more])
    logger = log_all(tmp_path, EVENTS[at:], resume=at)
    assert logger.rows == len(EVENTS)
    assert (tmp_path / "metrics.csv").read_bytes() == whole


DAMAGES = {
    "cut": (lambda content: content[: content.index(b"6.0") + 1], 1),
    "cut before its line break": (lambda content: content.rstrip(), 1),
    "empty": (lambda content: b"", 5),
    "missing": (None, 5),
    "zeros": (lambda content: bytes(len(content)), 5),
    "zeros at the end": (lambda content: content[: content.index(b"6.0")] + bytes(40), 1),
    "text": (lambda content: content.replace(b"0,2,", b"0,two,"), 1),
    "binary": (lambda content: bytes(range(128, 256)) * 4, 5),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_said_and_what_is_sound_is_kept(tmp_path, caplog, name):
    log_all(tmp_path, EVENTS[:5])
    path = tmp_path / "metrics.csv"
    change, lost = DAMAGES[name]
    damaged = change(path.read_bytes()) if change else None
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        log_all(tmp_path, EVENTS[5:], resume=5)
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{lost} of its first 5 rows are lost" in line
    rows = read(tmp_path)
    assert len(rows) == len(EVENTS) - lost
    assert all(row["step"].isdecimal() for row in rows)
    if damaged:
        assert (tmp_path / "metrics.csv.damaged").read_bytes() == damaged
        assert "metrics.csv.damaged" in line


def test_a_last_row_cut_after_the_checkpoint_is_logged_again_in_silence(tmp_path, whole, caplog):
    log_all(tmp_path, EVENTS[:5])
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-6])
    log_all(tmp_path, EVENTS[3:], resume=3)
    assert path.read_bytes() == whole
    assert not caplog.records


@pytest.mark.parametrize("name", DAMAGES)
def test_a_resume_that_logs_nothing_looks_all_the_same(tmp_path, caplog, name):
    """As one after the last step, which only evaluates."""
    log_all(tmp_path, EVENTS[:5])
    log_all(tmp_path, [], resume=5).finalize("success")
    assert not caplog.records
    path = tmp_path / "metrics.csv"
    change, lost = DAMAGES[name]
    damaged = change(path.read_bytes()) if change else None
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    log_all(tmp_path, [], resume=5).finalize("success")
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"{lost} of its first 5 rows are lost" in line


def test_a_folder_in_its_place_is_refused(tmp_path):
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(RunError, match="is a folder"):
        log_all(tmp_path, EVENTS)


def test_a_new_column_does_not_risk_the_old_rows(tmp_path, monkeypatch):
    log_all(tmp_path, EVENTS)
    before = (tmp_path / "metrics.csv").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        log_all(tmp_path, [(5, {"val/gap": 1.0})])
    assert (tmp_path / "metrics.csv").read_bytes() == before
