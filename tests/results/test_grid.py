"""Tables on a terminal of any width, and in a pipe: nothing is ever cut."""

import io
import re

import pytest
from rich.console import Console

from pixelrnn.results import grid, outcome
from pixelrnn.results.grid import Column
from pixelrnn.results.membership import Note
from tests.results.runs import write

COLUMNS = [
    Column("row", wraps=True),
    Column("paper", number=True),
    Column("ours", number=True),
    Column("difference", number=True, spare=1),
    Column("weights", number=True, spare=2),
]
ROWS = [
    ["Diagonal BiLSTM (7 layers, h = 16)", "79.20", "16.85 ± 0.04", "-62.35", "34,881"],
    ["a-name-that-cannot-be-wrapped-anywhere", "<=80.97", "", "", "9,621,248"],
]


def words(texts):
    return sorted(word for text in texts for word in text.split())


@pytest.mark.parametrize("width", [None, *range(1, 130)])
def test_every_word_of_a_shown_column_is_there_whole(width):
    found = grid.layout(COLUMNS, ROWS, width)
    shown = [i for i, column in enumerate(COLUMNS) if column.heading not in found.left_out]
    for row, lines in zip(ROWS, found.rows, strict=True):
        expected = words([row[i] for i in shown])
        if not found.head:  # vertical
            expected = words([*expected, *(COLUMNS[i].heading for i in shown if row[i])])
        assert words(lines) == expected
    if found.head:
        lines = [line for row in found.rows for line in row] + found.head
        assert width is None or max(map(len, lines)) <= width


def test_columns_are_left_out_before_a_table_goes_vertical():
    counts = [len(grid.layout(COLUMNS, ROWS, width).left_out) for width in range(70, 130)]
    assert counts == sorted(counts, reverse=True)
    assert grid.layout(COLUMNS, ROWS, 75).left_out == ["weights"]
    assert grid.layout(COLUMNS, ROWS, 130).left_out == []
    narrow = grid.layout(COLUMNS, ROWS, 40)
    assert (narrow.head, narrow.left_out) == ([], [])


def test_cells_that_wrap_stay_in_their_column():
    found = grid.layout([Column("row", wraps=True), Column("n")], [["one two", "12345"]], 10)
    assert found.rows == [["one  12345", "two"]]


def printed(terminal, width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width)
    grid.show(console, COLUMNS, ROWS, ["yellow", None])
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


def test_a_pipe_gets_one_whole_line_for_each_row_and_a_terminal_is_told_what_is_missing():
    lines = printed(False, 80).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert ROWS[0] == re.split(r"\s{2,}", lines[2])
    assert "no room for weights" in printed(True, 75)


def test_the_closing_table_of_a_multirun_has_what_varies_and_what_came_of_it(tmp_path):
    run = write(tmp_path, "a-1", 3.0)
    notes = [
        Note(["data=digits", "+model.layers=1", "seed=0"], 0, run, "finished"),
        Note(["data=digits", "+model.layers=0", "seed=0"], 1, None, "failed", "layers=0: no"),
        Note(["data=digits", "+model.layers=2", "seed=1"], 2, tmp_path / "gone", "killed"),
    ]
    columns, rows = outcome.table(notes)
    headings = [column.heading for column in columns]
    layers = ["job", "state", "model.layers", "seed"]
    assert headings == [*layers, "val bits_per_dim", "test bits_per_dim", "run"]
    assert rows == [
        ["0", "finished", "1", "0", "3.0000", "3.0100", "a-1"],
        ["1", "failed", "0", "0", "", "", ""],
        ["2", "killed", "2", "1", "", "", "gone"],
    ]
    out = io.StringIO()
    outcome.show(Console(file=out, width=200), notes)
    assert out.getvalue().count("\n") == 2 + len(notes)
    outcome.show(Console(file=out), [])
