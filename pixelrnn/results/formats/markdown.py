"""A table as Markdown, with its caption and notes."""

from pixelrnn.results.formats.cells import HEADER, cells, left_out
from pixelrnn.results.tables import Line, Table


def markdown(table: Table) -> str:
    """All columns; the last has the command that gets the row."""
    rows = [HEADER, ("---",) * len(HEADER)]
    rows += [(*cells(table, line)[:-1], _command(line)) for line in table.lines]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([table.caption(), "", *lines, "", *notes]).rstrip() + "\n"


def _command(line: Line) -> str:
    others = left_out(line)
    return (f"`{line.command}`" if line.command else "") + (f" ({others})" if others else "")
