"""The groups of configurations, those in the user's own folders included."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser

SEARCHPATH = "hydra.searchpath"
"""Hydra's key for more folders of groups."""


@dataclass(frozen=True)
class Groups:
    """What may be chosen.

    Attributes:
        loader: Hydra's.
        words: of the command; they may name folders of the user.
    """

    loader: ConfigLoader
    words: Sequence[str]

    def options(self, group: str) -> list[str]:
        """The choices of a group; none if there is no such group."""
        searched = [word for word in self.words if word.startswith(f"{SEARCHPATH}=")]
        return self.loader.get_group_options(group, overrides=searched)

    def parser(self) -> OverridesParser:
        """A parser of overrides that knows the groups."""
        return OverridesParser.create(config_loader=self.loader)
