"""Reads the help of a key from the docstring where the key is an argument (Google style)."""

import inspect
import re

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Attributes|Returns|Yields|Raises|Examples?):\s*$"
)
_OF_ARGUMENTS = ("Args", "Arguments", "Parameters", "Attributes")
_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def summary(docstring: str | None) -> str:
    """The text before the first section, without the indentation of the source."""
    lines = []
    for line in inspect.cleandoc(docstring or "").splitlines():
        if _SECTION.match(line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def arguments(docstring: str | None) -> dict[str, str]:
    """Names of the section `Args` with their descriptions, each joined to one line."""
    found: dict[str, str] = {}
    inside, name, indent = False, "", 0
    for line in inspect.cleandoc(docstring or "").splitlines():
        section = _SECTION.match(line)
        if section:
            inside, name, indent = (
                section[1] in ("Args", "Arguments", "Parameters", "Attributes"),
                "",
                0,
            )
            continue
        if not inside or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            inside = False
            continue
        indent = indent or depth
        entry = _ENTRY.match(line.strip()) if depth == indent else None
        if entry:
            name = entry[1]
            found[name] = entry[2]
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def first_sentence(text: str) -> str:
    """A description up to its first full stop, without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("``", "").replace("**", "")
    sentence = re.split(r"(?<!i\.e)(?<!e\.g)\.\s", text, maxsplit=1)[0]
    return sentence.strip().rstrip(".")
