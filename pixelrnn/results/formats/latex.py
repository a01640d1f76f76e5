"""A table as a LaTeX tabular; it needs the package booktabs."""

from pixelrnn.results.formats.cells import HEADER, cells
from pixelrnn.results.tables import Table

_SIGNS = (
    *(("\\", r"\textbackslash "), ("±", r"$\pm$"), ("<=", r"$\leq$"), ("~", r"$\approx$")),
    *((sign, f"\\{sign}") for sign in "%_&#"),
)
"""What LaTeX would read as something else; the backslash is replaced first."""


def latex(table: Table) -> str:
    """All columns but the last, the command."""
    keep = len(HEADER) - 1
    body = [" & ".join(map(_escaped, cells(table, line)[:keep])) + r" \\" for line in table.lines]
    return "\n".join(
        [
            f"% {table.caption()}",
            rf"\begin{{tabular}}{{l{'r' * (keep - 1)}}}",
            r"\toprule",
            " & ".join(HEADER[:keep]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    for plain, tex in _SIGNS:
        text = text.replace(plain, tex)
    return text
