"""Rows and columns for a terminal or a pipe: no number and no name is ever cut.

A table that is too wide for the terminal wraps columns of words at spaces, then leaves out whole
columns (and says which), then goes vertical: one block of lines for each row. A pipe has no width,
so everything stands there on one line for each row.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = "  "


@dataclass(frozen=True)
class Column:
    """How a column is shown.

    Attributes:
        heading: its name.
        number: whether cells stand on the right.
        wraps: whether cells may go on in the next line, at spaces.
        spare: 0: never left out; else the columns with the highest number go first.
    """

    heading: str
    number: bool = False
    wraps: bool = False
    spare: int = 0


@dataclass(frozen=True)
class Layout:
    """A table as lines of text.

    Attributes:
        head: the lines of the headings, with a rule below; empty in a vertical layout.
        rows: the lines of each row.
        left_out: headings of the columns for which there was no room.
    """

    head: list[str]
    rows: list[list[str]]
    left_out: list[str] = field(default_factory=list)


def layout(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> Layout:
    """Lay a table out.

    Args:
        columns: one for each cell of a row.
        rows: the cells.
        width: characters of a line; None: any number.
    """
    kept = list(range(len(columns)))
    left_out: list[str] = []
    while True:
        shown = [columns[index] for index in kept]
        cells = [[row[index] for index in kept] for row in rows]
        widths = _widths(shown, cells, width)
        if widths is not None:
            return Layout(*_horizontal(shown, cells, widths), left_out)
        spare = max(kept, key=lambda index: (columns[index].spare, index))
        if columns[spare].spare == 0:
            return Layout([], [_vertical(columns, row, width or 0) for row in rows])
        kept.remove(spare)
        left_out.append(columns[spare].heading)


def show(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    styles: Sequence[str | None] = (),
) -> None:
    """Print a table as wide as the terminal, or in full where there is none.

    Args:
        console: where to.
        columns: one for each cell of a row.
        rows: the cells.
        styles: one of rich's styles for each row; none: plain.
    """
    found = layout(columns, rows, console.width if console.is_terminal else None)
    for line in found.head:
        _print(console, line, "bold")
    for index, lines in enumerate(found.rows):
        for line in lines:
            _print(console, line, styles[index] if styles else None)
    if found.left_out:
        names = ", ".join(reversed(found.left_out))
        _print(console, f"(no room for {names}: widen the terminal, or pipe the output)", "dim")


def _print(console: Console, line: str, style: str | None) -> None:
    console.print(Text(line, style=style or ""), soft_wrap=True)


def _widths(columns: list[Column], rows: list[list[str]], width: int | None) -> list[int] | None:
    """The width of each column; None if the table does not fit."""
    cells = [[row[index] for row in rows] for index in range(len(columns))]
    full = [
        _longest([*texts, column.heading]) for texts, column in zip(cells, columns, strict=True)
    ]
    least = [
        _longest([*_words(texts if column.wraps else []), *column.heading.split()])
        if column.wraps
        else _longest([*texts, *column.heading.split()])
        for texts, column in zip(cells, columns, strict=True)
    ]
    if width is None:
        return full
    room = width - len(GAP) * (len(columns) - 1)
    if sum(least) > room:
        return None
    widths = full
    while sum(widths) > room:  # the widest column that can gives way
        index = max(
            (i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i]
        )
        widths[index] -= 1
    return widths


def _horizontal(
    columns: list[Column], rows: list[list[str]], widths: list[int]
) -> tuple[list[str], list[list[str]]]:
    head = _lines(columns, [column.heading for column in columns], widths)
    rule = "-" * (sum(widths) + len(GAP) * (len(widths) - 1))
    return [*head, rule], [_lines(columns, row, widths) for row in rows]


def _lines(columns: list[Column], cells: list[str], widths: list[int]) -> list[str]:
    """One row; cells that wrap make it several lines."""
    folded = [_fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for number in range(max(map(len, folded), default=0)):
        texts = []
        for column, parts, width in zip(columns, folded, widths, strict=True):
            text = parts[number] if number < len(parts) else ""
            space = " " * (width - cell_len(text))
            texts.append(space + text if column.number else text + space)
        lines.append(GAP.join(texts).rstrip())
    return lines


def _vertical(columns: Sequence[Column], row: Sequence[str], width: int) -> list[str]:
    """One row as lines of heading and value; an empty line below."""
    indent = _longest([column.heading for column in columns]) + len(GAP)
    lines = []
    for column, cell in zip(columns, row, strict=True):
        if cell:
            parts = _fold(cell, max(width - indent, 1))
            lines += [
                (column.heading if number == 0 else "").ljust(indent) + part
                for number, part in enumerate(parts)
            ]
    return [*lines, ""]


def _fold(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _words(texts: list[str]) -> list[str]:
    return [word for text in texts for word in text.split()]


def _longest(texts: list[str]) -> int:
    return max(map(cell_len, texts), default=0)
