"""Which runs fill a row: those whose model and data are the row's, whatever their budget.

The row's model and data are put together here from the files of conf, without Hydra, so that a
table of thousands of runs is filled within a second. Tests hold this equal to what Hydra composes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelrnn.results import conf_files, shipped
from pixelrnn.results.conf_files import flat
from pixelrnn.results.descriptions import Benchmark, Settings
from pixelrnn.runs import from_data
from pixelrnn.runs.signature import effective

_COMPARED = ("model", "data")
_FREE = ("data.batch_size", "data.seed")
_PLACES = ("data.folder",)
"""Where the files of a published set lie, which are verified: a row that says no place has any."""


@dataclass(frozen=True)
class Expected:
    """The settings that a run must have to fill a row.

    Attributes:
        values: dotted key -> value.
        stated: keys that the row, its table or its benchmark sets. Any other key may be missing
            from a run's configuration: the run is then older than the key, and had its default.
    """

    values: dict[str, Any]
    stated: frozenset[str]

    def matches(self, config: dict[str, Any]) -> bool:
        """Whether a run's configuration has these settings."""
        found = flat(config)
        return bool(config) and all(
            _agree(key, found[key], _resolved(value, found))
            if key in found
            else key not in self.stated
            for key, value in self.values.items()
        )


def expected(
    settings: Settings,
    benchmark: Benchmark | None,
    scale: str,
    fixed: Sequence[str] = (),
    own_conf: Path | None = None,
) -> Expected:
    """The settings that a run of a row must have.

    Args:
        settings: all that the row and its table set.
        benchmark: the row's benchmark.
        scale: the paper's data and sizes, or others that the benchmark has.
        fixed: further dotted keys that must agree.
        own_conf: a user's folder of groups, which may hold the row's model and data.

    Raises:
        ConfigError: the file of a choice is not there, or cannot be read.
    """
    paper = benchmark.paper if benchmark else {}
    scaled = benchmark.others.get(scale, {}) if benchmark else {}
    conf = _Conf((shipped.conf(), own_conf) if own_conf else (shipped.conf(),))
    choices = conf.defaults() | _choices(paper) | _choices(settings) | _choices(scaled)
    stand_in: Settings = {}
    sizes: Settings = {}
    for key, value in scaled.items():
        (stand_in if key.startswith("data.") else sizes)[key] = value
    groups = dict.fromkeys((*_COMPARED, *(key.partition(".")[0] for key in fixed)))
    given = {k: value for k, value in (stand_in | paper | sizes | settings).items() if "." in k}
    stated = {key: value for key, value in given.items() if key.partition(".")[0] in groups}
    values: dict[str, Any] = {}
    for group in groups:
        values |= conf.group(group, choices)
        for key, other in conf.references(group, choices).items():
            own = {name: value for name, value in given.items() if name.startswith(f"{other}.")}
            stated |= {key + name.removeprefix(other): value for name, value in own.items()}
    said = {key: item for key, item in values.items() if key not in _PLACES and not _refers(item)}
    whole = said | stated
    kept = {key: item for key, item in whole.items() if _counts(key, whole, fixed)}
    targets = {f"{group}._target_" for group in _COMPARED}
    return Expected(kept, frozenset(stated.keys() | targets))


def _counts(key: str, settings: Settings, fixed: Sequence[str]) -> bool:
    """Whether a key of a row's settings says which model and data a run has."""
    group, _, name = key.partition(".")
    if key in fixed:
        return True
    if group not in _COMPARED or key in _FREE or not _has_effect(key, settings):
        return False
    value = settings[key]
    return not (value is None and from_data.is_open(name.rpartition(".")[2], value))


def _refers(value: Any) -> bool:
    """Whether a value is taken from other keys, such as a seed or a path."""
    return isinstance(value, str) and "${" in value


def _resolved(value: Any, run: Mapping[str, Any]) -> Any:
    """The value of a row with the run's own values of the keys to which it refers."""
    if not _refers(value):
        return value
    return re.sub(r"\$\{([\w.]+)\}", lambda key: str(run.get(key[1], key[0])), value)


def _agree(key: str, found: Any, value: Any) -> bool:
    """Whether a run has the value of a row; "data" stands for what the data filled in."""
    if value == from_data.WORD and from_data.is_open(key.rpartition(".")[2], value):
        return found is not None
    return bool(found == value)


def _has_effect(key: str, settings: Settings) -> bool:
    """Whether any value of a key can change what is computed, given the classes around it."""
    node: dict[str, Any] = {}
    inner, path = node, ""
    *parents, last = key.split(".")
    for parent in parents:
        inner = inner.setdefault(parent, {})
        path += f"{parent}."
        target = settings.get(f"{path}_target_")
        if target is not None:
            inner["_target_"] = target
    if last != "_target_":
        inner[last] = object()  # equals no value, so that of earlier versions neither
    return key in flat(effective(node))


def _choices(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if "." not in key}


@dataclass(frozen=True)
class _Conf:
    """The files of Hydra's groups, in folders of which the first that has a file counts."""

    folders: tuple[Path, ...]

    def defaults(self) -> dict[str, Any]:
        """Group -> the choice that train.yaml makes."""
        lines = conf_files.content(self.folders[0] / "train.yaml")["defaults"]
        found: dict[str, Any] = {}
        for line in lines:
            found |= line if isinstance(line, dict) else {}
        return found

    def group(self, group: str, choices: Mapping[str, Any]) -> dict[str, Any]:
        """A chosen group as dotted keys; `${other}` stands for the choice of another group."""
        references = self.references(group, choices)
        values: dict[str, Any] = {}
        for key, value in self._written(group, choices).items():
            other = references.get(key)
            if other is None:
                values[key] = value
                continue
            for name, item in self.group(other, choices).items():
                values[key + name.removeprefix(other)] = item
        return values

    def references(self, group: str, choices: Mapping[str, Any]) -> dict[str, str]:
        """Dotted key of a chosen group -> the group whose choice stands there."""
        found = {}
        for key, value in self._written(group, choices).items():
            other = re.fullmatch(r"\$\{(\w+)\}", value) if isinstance(value, str) else None
            if other and other[1] in choices:
                found[key] = other[1]
        return found

    def _written(self, group: str, choices: Mapping[str, Any]) -> dict[str, Any]:
        values = conf_files.read(f"{group}/{choices[group]}", self.folders, choices)
        return {f"{group}.{key}": value for key, value in values.items()}
