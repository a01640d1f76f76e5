"""The doctor's page: all findings, for a reader or for a program."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from pixelrnn.doctor.finding import Finding, Section

WIDTH = 100
_STATES = {"ok": ("ok", "green"), "note": ("note", "yellow"), "failed": ("FAIL", "bold red")}
_INDENT = 8


def failed(sections: Iterable[Section]) -> list[Finding]:
    """Return the findings that failed."""
    return [one for section in sections for one in section.findings if one.state == "failed"]


def show(console: Console, section: Section) -> None:
    """Print a section: a line for each finding, and below it what to do, if anything."""
    console.print(Text(section.title, "bold"), soft_wrap=True)
    width = max((len(one.name) for one in section.findings), default=0)
    for one in section.findings:
        word, style = _STATES[one.state]
        first, *rest = _wrapped(f"{one.name:<{width}}  {one.text}", _INDENT + width + 2)
        line = Text(f"  {word:<{_INDENT - 2}}", style)
        line.append(first, "red" if one.state == "failed" else "")
        console.print(line, soft_wrap=True)
        for text in rest:
            console.print(Text(text), soft_wrap=True)
        if one.advice:
            console.print(Text("\n".join(_advice(one.advice)), style), soft_wrap=True)


def summary(console: Console, sections: Sequence[Section]) -> None:
    """Print one line on the whole page."""
    wrong, checks = failed(sections), sum(len(section.findings) for section in sections)
    if wrong:
        names = ", ".join(dict.fromkeys(one.name for one in wrong))
        text = Text(f"{len(wrong)} of {checks} checks failed: {names}", "bold red")
    else:
        text = Text(f"{checks} checks, none failed", "bold green")
    console.print(text, soft_wrap=True)


def as_json(sections: Sequence[Section]) -> dict[str, Any]:
    """Return the page for programs: whether all passed, and each finding with its numbers."""
    return {
        "passed": not failed(sections),
        "checks": [
            {
                "section": section.title,
                "name": one.name,
                "state": one.state,
                "text": " ".join(one.text.split()),
                "advice": one.advice or None,
                **one.numbers,
            }
            for section in sections
            for one in section.findings
        ],
    }


def _wrapped(text: str, indent: int) -> list[str]:
    """Break a line at spaces; what follows stands under the text."""
    room = WIDTH - _INDENT
    if len(text) <= room:
        return [text]
    head, rest = text[: indent - _INDENT], text[indent - _INDENT :]
    lines = textwrap.wrap(rest, WIDTH - indent, break_long_words=True, break_on_hyphens=False)
    return [head + lines[0], *(" " * indent + line for line in lines[1:])]


def _advice(text: str) -> list[str]:
    indent = " " * _INDENT
    return textwrap.wrap(
        f"-> {text}",
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "   ",
        break_on_hyphens=False,
    )
