"""Notes of the jobs of a multirun: a run may belong to several sweeps."""

import json
from pathlib import Path

import pytest

from pixelrnn.cli.main import main
from pixelrnn.errors import ConfigError
from pixelrnn.results import membership
from pixelrnn.results.membership import Note
from tests.results.runs import write


def test_runs_finds_a_shared_run_by_each_of_its_sweeps(tmp_path, capsys):
    """The run itself knows only the sweep that started it."""
    write(tmp_path / "runs", "shared-2", 3.0, sweep_name="table2")
    notes(tmp_path / "runs", "table3", "shared-2")
    for sweep in ("table2", "table3"):
        assert main(["runs", f"sweep={sweep}"]) == 0
        assert "shared-2" in capsys.readouterr().out
    assert main(["runs", "sweep=table4"]) == 0
    assert "no runs" in capsys.readouterr().out


def notes(root, sweep, *runs, state="finished"):
    folder = membership.new_folder(root, sweep)
    for number, run in enumerate(runs):
        membership.write(folder, Note([f"seed={number}"], number, root / run, state))
    return folder


def test_a_run_belongs_to_every_sweep_that_has_it_as_a_job(tmp_path):
    notes(tmp_path, "table2", "a-1", "shared-2")
    notes(tmp_path, "table3", "shared-2", "b-3")
    notes(tmp_path, None, "alone-4")
    assert membership.sweeps(tmp_path) == {
        "a-1": {"table2"},
        "shared-2": {"table2", "table3"},
        "b-3": {"table3"},
    }


def test_notes_survive_a_move_of_the_runs_folder(tmp_path):
    notes(tmp_path / "runs", "table2", "a-1")
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert membership.sweeps(tmp_path / "moved") == {"a-1": {"table2"}}


def test_a_run_elsewhere_is_not_taken_for_one_here(tmp_path):
    folder = membership.new_folder(tmp_path, "mine")
    membership.write(folder, Note(["a=1"], 0, tmp_path / "elsewhere" / "a-1", "finished"))
    assert membership.sweeps(tmp_path) == {}
    assert [note.run for note in membership.read(folder)] == [tmp_path / "elsewhere" / "a-1"]


def test_notes_come_back_in_order_and_a_started_job_was_killed(tmp_path):
    folder = membership.new_folder(tmp_path, "mine")
    for number in (10, 9, 2):
        membership.write(folder, Note(["x=[1, 2]", "y='a b'"], number, None, "finished"))
    membership.write(folder, Note(["x=3"], 0, None, "started"))
    membership.write(folder, Note(["x=4"], 1, None, "failed", "disc full", "OSError"))
    found = membership.read(folder)
    assert [note.number for note in found] == [0, 1, 2, 9, 10]
    assert (found[0].state, found[0].message) == ("killed", "the same command goes on from here")
    assert (found[1].message, found[1].type) == ("disc full", "OSError")
    assert found[2].job == ["x=[1, 2]", "y='a b'"]


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"job": 3, "state": "finished"}'])
def test_a_damaged_note_is_passed_over(tmp_path, content):
    folder = notes(tmp_path, "mine", "a-1")
    (folder / "7.json").write_text(content)
    (folder / "seven.json").write_text(json.dumps({"job": [], "run": "x", "state": "finished"}))
    assert membership.sweeps(tmp_path) == {"a-1": {"mine"}}
    assert len(membership.read(folder)) == 1


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".hidden", ""])
def test_a_sweep_has_a_plain_name(tmp_path, name):
    with pytest.raises(ConfigError, match="sweep_name"):
        membership.new_folder(Path(tmp_path), name)
