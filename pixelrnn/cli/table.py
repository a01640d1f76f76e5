"""`pixelrnn table table2 scale=small`: the paper's table with ours beside it."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from pixelrnn import atomic
from pixelrnn.cli import plain_arguments
from pixelrnn.results import collect, tables


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(table, argv, first="name")


def table(
    *,
    name: str,
    scale: tables.Scale = "paper",
    out: str | None = None,
    plots: bool = True,
    paths: dict[str, str],
) -> tables.Table:
    """Fill a table from the runs there are, print it, write it as Markdown, CSV, LaTeX and PNG.

    Args:
        name: table2 to table6, or another of experiments/tables.
        scale: paper, or small.
        out: folder of the files; None: tables, among the runs.
        plots: whether to draw.
        paths: roots of runs and data.

    Raises:
        ConfigError: no such table.
    """
    folder = Path(out) if out else Path(paths["runs"]) / "tables"
    runs = collect.scan(Path(paths["runs"]))
    filled = tables.fill(name, scale, runs)
    stem = name if scale == "paper" else f"{name}-{scale}"
    written = []
    for ending, text in (
        ("md", tables.markdown(filled)),
        ("csv", tables.as_csv(filled)),
        ("tex", tables.latex(filled)),
    ):
        with atomic.replacing(folder / f"{stem}.{ending}") as file:
            file.write(text)
        written.append(f"{stem}.{ending}")
    if plots:
        written += _draw(filled, folder, stem)
    console = Console()
    console.print(_grid(filled))
    for note in filled.notes:
        console.print(f"  {note}", highlight=False, markup=False)
    missing = [line.command for line in filled.lines if line.command and not line.runs]
    if missing:
        console.print("To get what was not run (seed=1, seed=2, ... for more seeds):")
    for command in missing:
        console.print(f"  {command}", highlight=False, soft_wrap=True)
    console.print(f"{folder}: {', '.join(written)}", highlight=False, soft_wrap=True)
    return filled


def _draw(filled: tables.Table, out: Path, stem: str) -> list[str]:
    from pixelrnn.results import plots  # matplotlib takes longer than all the rest

    plots.table_plot(filled, out / f"{stem}.png")
    drawn = plots.curves(filled, out / f"{stem}-curves.png")
    return [f"{stem}.png", f"{stem}-curves.png"] if drawn else [f"{stem}.png"]


def _grid(filled: tables.Table) -> Grid:
    grid = Grid(title=filled.caption(), title_justify="left", box=box.SIMPLE_HEAD)
    shown = tables.HEADER[:-1]
    for heading in shown:
        name = heading == "row"
        grid.add_column(
            heading,
            justify="left" if name else "right",
            no_wrap=not name,
            min_width=18 if name else None,
        )
    for line in filled.lines:
        style = "dim" if line.command is None else None if line.runs else "yellow"
        grid.add_row(*tables.cells(filled, line)[: len(shown)], style=style)
    return grid
