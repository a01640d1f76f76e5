"""`pixelrnn runs`: by data set, the best first; how far unfinished ones are."""

import csv
import io
import json
import os

import pytest
from filelock import FileLock

from pixelrnn.cli.main import main
from pixelrnn.results import collect, membership, progress
from pixelrnn.results.membership import Note
from tests.results.runs import write

DIGITS = {"data": {"_target_": "pixelrnn.data.Digits", "seed": 0, "batch_size": 32}}


def listed(capsys, *words):
    assert main(["runs", *words]) == 0
    return capsys.readouterr().out


def names(out):
    return [line.split()[0] for line in out.splitlines() if line.startswith(("a-", "b-", "d-"))]


def test_states_and_the_best(tmp_path, capsys):
    root = tmp_path / "runs"
    write(root, "a-bad", 4.0)
    write(root, "a-best", 3.0)
    write(root, "a-half", 0, state="unfinished")
    write(root, "a-lost", 0, state="failed")
    write(root, "z-torn", 3.0)
    (root / "z-torn" / "results.json").write_text('{"metrics"')
    (root / "empty").mkdir()
    out = listed(capsys)
    assert f"best on cifar10: {root.relative_to(tmp_path)}/a-best  val/bits_per_dim 3" in out
    states = {x.folder.name: x.state for x in collect.scan(root)}
    assert states == {
        "a-bad": "finished",
        "a-best": "finished",
        "a-half": "unfinished",
        "a-lost": "failed",
        "z-torn": "damaged",
    }
    assert "OSError: disc full" in out
    assert names(listed(capsys, "state=finished", "by=train/nll", "n=1")) == ["a-best"]
    assert main(["runs", "by=val/bits"]) == 2
    assert "did you mean by=val/bits_per_dim" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["[]", "{}", "3", '{"metrics": {"val/nll": "x"}}', '{"metrics": 1}']
)
def test_a_damaged_record_is_one_line_in_every_list(tmp_path, capsys, text):
    folder = write(tmp_path / "runs", "a-0", 3.0)
    (folder / "results.json").write_text(text)
    (run,) = collect.scan(tmp_path / "runs")
    assert run.state == "damaged"
    assert f"a-0: {run.message}" in listed(capsys)
    assert "results.json" in run.message
    assert main(["table", "table2", "plots=false"]) == 0


def test_runs_that_never_validated_are_listed(tmp_path, capsys):
    folder = write(tmp_path / "runs", "a-1", 3.0)
    record = json.loads((folder / "results.json").read_text())
    record["metrics"] = {"test/bits_per_dim": 3.0}
    (folder / "results.json").write_text(json.dumps(record))
    assert names(listed(capsys)) == ["a-1"]
    assert "best on cifar10: runs/a-1" in listed(capsys, "by=test/bits_per_dim")


def test_different_data_are_never_ranked_together(tmp_path, capsys):
    """Bits per dimension of digits and photographs do not compare."""
    root = tmp_path / "runs"
    write(root, "a-1", 3.0)
    write(root, "a-2", 2.9)
    write(root, "d-1", 1.7, label="digits-row_lstm", **DIGITS)
    write(root, "d-2", 0, state="unfinished", label="mine-x", seed=3, **DIGITS)
    out = listed(capsys)
    assert names(out) == ["a-2", "a-1", "d-1", "d-2"]
    best = [line.split()[2:4] for line in out.splitlines() if line.startswith("best on ")]
    assert best == [["cifar10:", "runs/a-2"], ["digits:", "runs/d-1"]]
    assert names(listed(capsys, "n=1")) == ["a-2", "d-1"]


def test_files_with_another_content_are_other_data(tmp_path, capsys):
    for number, content in enumerate(("aaaa1111bbbb", "cccc2222dddd")):
        write(tmp_path / "runs", f"d-{number}", 1.7, seed=number, data_content=content, **DIGITS)
    out = listed(capsys)
    assert "best on digits (aaaa1111): runs/d-0" in out
    assert "best on digits (cccc2222): runs/d-1" in out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["data=digits"], ["d-1"]),
        (["data=cifar*"], ["a-1", "b-1"]),
        (["model=row_lstm"], ["a-1", "d-1"]),
        (["model=PixelCNN"], ["b-1"]),
        (["data=cifar10", "model=row_lstm"], ["a-1"]),
        (["scale=small"], ["b-1"]),
        (["sweep=mine"], ["a-1"]),
    ],
    ids=str,
)
def test_filters(tmp_path, capsys, words, found):
    root = tmp_path / "runs"
    write(root, "a-1", 3.0, label="other-names")
    pixelcnn = {"model": {"_target_": "pixelrnn.models.PixelCNN"}, "scale_name": "small"}
    write(root, "b-1", 3.1, label="cifar10-pixelcnn", **pixelcnn)
    write(root, "d-1", 1.7, label="digits-row_lstm", **DIGITS)
    folder = membership.new_folder(root, "mine")
    membership.write(folder, Note(["seed=0"], 0, root / "a-1", "finished"))
    assert names(listed(capsys, *words)) == found


def test_a_filter_that_fits_nothing_says_what_there_is(tmp_path, capsys):
    write(tmp_path / "runs", "d-1", 1.7, label="digits-row_lstm", **DIGITS)
    out = listed(capsys, "data=cifar10", "model=row_lstm")
    assert "no runs with data=cifar10 model=row_lstm; data: digits; model: row_lstm" in out


def test_names_stand_on_one_line_and_a_sweep_shows_what_varies(tmp_path, capsys):
    root = tmp_path / "runs"
    long = "a-" + "very_long_name_" * 8
    write(root, f"{long}-1", 3.0, model__layers=7)
    write(root, "a-2", 3.0, model__layers=9, seed=1)
    out = listed(capsys, "sweep=table2")
    assert f"{long}-1" in out
    assert out.splitlines()[0].split()[:5] == [
        "run",
        "state",
        "val",
        "bits_per_dim",
        "model.layers",
    ]
    (line,) = [line for line in out.splitlines() if line.startswith("a-2")]
    assert line.split()[:5] == ["a-2", "finished", "3.0000", "9", "1"]


def test_what_varies_in_a_sweep(tmp_path):
    """Seeds and folders do not count, and no keys that only one of several models has."""
    write(tmp_path, "a-0", 3.0)
    write(tmp_path, "a-1", 3.0, seed=1)
    assert collect.varied(collect.scan(tmp_path)) == []
    write(tmp_path, "b-0", 3.0, model__skip=False, state="unfinished")
    write(tmp_path, "c-0", 3.0, model__residual=False)
    assert collect.varied(collect.scan(tmp_path)) == ["model.residual", "model.skip"]
    write(tmp_path, "d-0", 3.0, model={"_target_": "m.Other", "skip": False, "width": 3})
    assert collect.varied(collect.scan(tmp_path)) == ["model._target_", "model.skip"]


def test_csv_and_json_tell_all(tmp_path, capsys):
    root = tmp_path / "runs"
    write(root, "a-1", 3.0, model__layers=7)
    write(root, "d-1", 1.7, seed=4, model__layers=8, **DIGITS)
    records = json.loads(listed(capsys, "format=json"))
    assert [record["run"] for record in records] == ["runs/a-1", "runs/d-1"]
    assert [record["data_set"] for record in records] == ["cifar10", "digits"]
    assert records[0]["metrics"]["val/bits_per_dim"] == 3.0
    assert records[0]["settings"]["model.layers"] == 7
    assert records[0]["sweeps"] == ["table2"]
    rows = list(csv.DictReader(io.StringIO(listed(capsys, "format=csv"))))
    assert [(row["run"], row["seed"], row["model.layers"]) for row in rows] == [
        ("runs/a-1", "0", "7"),
        ("runs/d-1", "4", "8"),
    ]
    assert float(rows[1]["val/bits_per_dim"]) == 1.7


def test_a_live_run_shows_steps_and_its_last_value(tmp_path, capsys):
    folder = write(tmp_path / "runs", "a-1", 0, state="unfinished", trainer={"max_epochs": 4})
    (folder / "metrics.csv").write_text(
        "epoch,step,train/nll,val/bits_per_dim\n"
        "0,99,,3.5\n,119,5.0,\n1,199,,3.25\n,219,4.0,\n1,24"  # a line being written
    )
    out = listed(capsys)
    assert "3.2500 so far" in out
    assert "220 of 400" in out
    (record,) = json.loads(listed(capsys, "format=json"))
    assert (record["steps"], record["of_steps"], record["state"]) == (220, 400, "unfinished")
    assert record["metrics"] == {"val/bits_per_dim": 3.25, "train/nll": 4.0}
    if not os.path.exists("/proc/locks"):
        return
    with FileLock(folder / ".lock"):
        assert progress.is_running(folder, progress.locks())
        (run,) = collect.scan(tmp_path / "runs")
        assert run.state == "running"
    (run,) = collect.scan(tmp_path / "runs")
    assert run.state == "unfinished"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("epoch,step\n", ""),
        ("a,b\n1,2\n", ""),
        ("epoch,step,val/nll\n0,9,nan\n", "10"),
        ("epoch,step,val/nll\n0,9,3\n" + ",19,\n" * 40000 + "1,19,2\n", "20 of 30"),
        ("\x00\n\xff", ""),
    ],
    ids=range(6),
)
def test_progress_is_read_from_whatever_is_there(tmp_path, text, shown):
    (tmp_path / "metrics.csv").write_text(text)
    found = progress.of(tmp_path, {"trainer": {"max_epochs": 3, "max_steps": -1}})
    assert str(found) == shown


def test_max_steps_bound_the_steps_of_a_run(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,val/nll\n0,9,3\n")
    trainer = {"max_epochs": 9, "max_steps": 50}
    assert str(progress.of(tmp_path, {"trainer": trainer})) == "10 of 50"
    assert str(progress.of(tmp_path, {"trainer": trainer | {"max_epochs": 2}})) == "10 of 20"
    assert str(progress.of(tmp_path, {"trainer": trainer | {"max_epochs": -1}})) == "10 of 50"
