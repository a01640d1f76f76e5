"""One line of the doctor's page."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "note", "failed"]
"""note: something is not there, and nothing needs it. failed: what was asked of it is wrong."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was looked at.
        state: what it means.
        text: what was found, in a few words.
        advice: what to do; given where something failed.
        numbers: the same for programs: JSON values.
    """

    name: str
    state: State
    text: str
    advice: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Findings under one heading."""

    title: str
    findings: list[Finding]


Check = Callable[[], Iterable[Finding]]


def found(name: str, check: Check, advice: str) -> Iterator[Finding]:
    """Run a check; one that raises is a finding, too, and hides no other.

    Args:
        name: of the finding if it raises.
        check: returns findings.
        advice: what to do if it raises.
    """
    try:
        yield from check()
    except Exception as error:  # a check meets whatever a machine has in store
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        yield Finding(name, "failed", f"the check itself failed: {reason}", advice)
