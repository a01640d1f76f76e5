"""`pixelrnn table table2 scale=small`: the paper's table with ours beside it."""

from pathlib import Path

from rich.console import Console

from pixelrnn import atomic
from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError, RunError
from pixelrnn.results import collect, grid, rows, tables
from pixelrnn.results.descriptions import PAPER
from pixelrnn.results.formats.cells import HEADER, cells, left_out
from pixelrnn.results.formats.csv_lines import csv_lines
from pixelrnn.results.formats.latex import latex
from pixelrnn.results.formats.markdown import markdown

_SPARE = {"minutes": 5, "steps": 4, "weights": 3, "seeds": 2, "difference": 1}
"""Columns that a narrow terminal does without; the highest number goes first."""


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(table, argv, first="name")


def table(
    *,
    name: list[str],
    scale: str = PAPER,
    out: str | None = None,
    plots: bool = True,
    paths: dict[str, str],
) -> list[tables.Table]:
    """Fill tables from the runs there are, print them, write Markdown, CSV, LaTeX and PNG.

    Args:
        name: table2 to table6, another of experiments/tables, or a file of your own,
            my/table.yaml; several are done in turn.
        scale: the paper's data and sizes, or others that the table has: `small` needs no download.
        out: folder of the files; null: `tables`, among the runs.
        plots: whether to draw what has been run; pictures that show it already are kept.
        paths: roots of runs, data and own tables.

    Raises:
        ConfigError: there is no such table, or its file is damaged.
        RunError: the folder cannot be written.
    """
    runs = collect.scan(Path(paths["runs"]))
    filled = [_filled(one, scale, runs, paths) for one in name]
    folder = Path(out) if out else Path(paths["runs"]) / "tables"
    console = Console()
    for one in filled:
        _show(console, one)
        try:
            changed = _write(one, folder)
            written = [*_texts(one), *(_draw(one, folder, changed) if plots else [])]
        except OSError as error:
            raise RunError(
                f"{folder}: cannot be written ({error.strerror or error}); "
                "give another folder, as out=..."
            ) from error
        console.print(f"{folder}: {', '.join(written)}", highlight=False, soft_wrap=True)
    return filled


def _filled(name: str, scale: str, runs: list[collect.Run], paths: dict[str, str]) -> tables.Table:
    """A table by its name, or by its file."""
    path = Path(name)
    by_file = path.suffix == ".yaml"
    if by_file and not path.is_file():
        raise ConfigError(f"{name}: no such file")
    own = path.parent if by_file else rows.own_folder([f"paths.tables={paths.get('tables') or ''}"])
    return tables.fill(rows.load(own), path.stem if by_file else name, scale, runs)


def _stem(filled: tables.Table) -> str:
    return filled.name if filled.scale == PAPER else f"{filled.name}-{filled.scale}"


def _texts(filled: tables.Table) -> dict[str, str]:
    """The files that are text: name -> content."""
    forms = {"md": markdown, "csv": csv_lines, "tex": latex}
    return {f"{_stem(filled)}.{ending}": form(filled) for ending, form in forms.items()}


def _write(filled: tables.Table, folder: Path) -> bool:
    """Write the files that are text; returns whether one of them said something else before."""
    texts = _texts(filled)
    stale = [name for name, text in texts.items() if not _holds(folder / name, text)]
    for name in stale:
        with atomic.replacing(folder / name) as file:
            file.write(texts[name])
    return bool(stale)


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def _draw(filled: tables.Table, folder: Path, changed: bool) -> list[str]:
    """Draw what has been run, where the pictures do not show it yet; returns their names."""
    runs = [run.folder for line in filled.lines for run in line.runs]
    names = [f"{_stem(filled)}.png", *([f"{_stem(filled)}-curves.png"] if runs else [])]
    drawn_at = min(_written_at(folder / name) for name in names)
    if not runs and not drawn_at:
        return []
    sources = [run / name for run in runs for name in ("results.json", "metrics.csv")]
    if not changed and drawn_at > max(map(_written_at, sources), default=0):
        return names
    from pixelrnn.results import plots  # matplotlib takes longer than all the rest

    plots.table_plot(filled, folder / names[0])
    drawn = bool(runs) and plots.curves(filled, folder / names[1])
    return names if drawn else names[:1]


def _written_at(path: Path) -> float:
    """When a file was written, in seconds; 0 if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _show(console: Console, filled: tables.Table) -> None:
    whole = not console.is_terminal  # no width, no line to wrap
    console.print(filled.caption(), style="italic", highlight=False, markup=False, soft_wrap=whole)
    shown = HEADER[:-1]
    columns = [
        grid.Column(
            heading, number=heading != "row", wraps=heading == "row", spare=_SPARE.get(heading, 0)
        )
        for heading in shown
    ]
    texts = [cells(filled, line)[: len(shown)] for line in filled.lines]
    styles = [None if line.runs else "yellow" if line.command else "dim" for line in filled.lines]
    grid.show(console, columns, texts, styles)
    others = [f"{line.name}: {left_out(line)}" for line in filled.lines if line.others]
    for note in (*others, *filled.notes):
        console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
    missing = [line.command for line in filled.lines if line.command and not line.runs]
    if missing:
        console.print(
            "To get what was not run (seed=1, seed=2, ... for more seeds):", highlight=False
        )
    for command in missing:
        console.print(f"  {command}", highlight=False, soft_wrap=True)
