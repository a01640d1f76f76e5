"""Every row of a table, written once: in experiments/tables, or in a user's own folder of tables.

From a row follow the experiment (`experiment=<id>`), the sweep of its table (`sweep=<table>`), the
command that is shown for it, and the configurations of the runs that fill it.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixelrnn.errors import ConfigError
from pixelrnn.results import descriptions, shipped
from pixelrnn.results.descriptions import PAPER, Benchmark, Row, Settings, TableFile
from pixelrnn.results.expected import Expected, expected
from pixelrnn.runs import check

BENCHMARKS = "benchmarks"
"""The name of the file that holds the benchmarks of a folder's tables."""


@dataclass(frozen=True)
class Catalogue:
    """All tables, rows and benchmarks.

    Attributes:
        tables: name -> description.
        benchmarks: name -> description.
        settings: id of a row -> all its settings, those of its table included.
        own: ids of the rows that stand in the user's folder.
        folder: the user's folder of tables, if there is one.
    """

    tables: dict[str, TableFile]
    benchmarks: dict[str, Benchmark]
    settings: dict[str, Settings]
    own: frozenset[str] = frozenset()
    folder: Path | None = None

    def table(self, name: str) -> TableFile:
        """The description of a table.

        Raises:
            ConfigError: there is no such table.
        """
        if name not in self.tables:
            hint = check.nearest(name, sorted(self.tables))
            raise ConfigError(f"{name}: no such table; {hint}")
        return self.tables[name]

    def benchmark(self, row: Row) -> Benchmark | None:
        """The data and sizes that a row shares with others."""
        return self.benchmarks.get(self.settings[identity(row)].get("benchmark", ""))

    def scales(self, table: TableFile) -> list[str]:
        """At which scales there is a table."""
        if table.scales is not None:
            return table.scales
        benchmarks = [self.benchmark(row) for row in table.rows]
        named = [found.scales if found else [PAPER] for found in benchmarks]
        return [scale for scale in named[0] if all(scale in others for others in named)]

    def expected(self, table: TableFile, row: Row, scale: str) -> Expected:
        """The settings that a run must have to fill a row of a table."""
        settings = self.settings[identity(row)]
        own_conf = self.folder.parent if self.folder else None
        return expected(settings, self.benchmark(row), scale, table.fixed, own_conf)

    def command(self, row: Row, scale: str) -> str:
        """The command that trains a row."""
        words = ["pixelrnn train", f"experiment={identity(row)}"]
        if scale != PAPER:
            words.append(f"scale={scale}")
        if identity(row) in self.own and str(self.folder) != os.environ.get("PIXELRNN_TABLES"):
            words.append(f"paths.tables={self.folder}")
        return " ".join(words)


def identity(row: Row) -> str:
    """The id of a row: its own, or that of the row that it is."""
    found = row.id or row.like
    assert found is not None  # checked when the file was read
    return found


def own_folder(words: Sequence[str] = ()) -> Path | None:
    """The user's folder of tables, if there is one.

    Given by `paths.tables=FOLDER`; else the folder `tables` in what `--config-dir FOLDER` or
    `hydra.searchpath=[file://FOLDER]` names, if there is one; else $PIXELRNN_TABLES.

    Args:
        words: of the command line.
    """
    for word in reversed(words):
        if word.startswith("paths.tables="):
            name = word.partition("=")[2].strip("'\"")
            return Path(name) if name and name != "null" else None
    for conf in _searched(words):
        if (conf / "tables").is_dir():
            return conf / "tables"
    name = os.environ.get("PIXELRNN_TABLES", "")
    return Path(name) if name else None


def _searched(words: Sequence[str]) -> list[Path]:
    """The user's own folders of Hydra's groups."""
    found = []
    for word, after in zip(words, [*words[1:], ""], strict=False):
        key, _, value = word.partition("=")
        if key in ("--config-dir", "-cd"):
            found.append(Path(value or after))
        if key == "hydra.searchpath":
            found += [Path(path) for path in re.findall(r"file://([^,'\"\]]+)", value)]
    return found


def load(folder: Path | None = None) -> Catalogue:
    """Read all tables of the package, and those of a folder.

    Args:
        folder: the user's own tables.

    Raises:
        ConfigError: a file is damaged, or names what is not there; one line.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"paths.tables={folder}: no such folder")
    tables: dict[str, TableFile] = {}
    benchmarks: dict[str, Benchmark] = {}
    files: dict[str, Path] = {}
    for place in (shipped.tables(), folder):
        for path in sorted(place.glob("*.yaml")) if place else ():
            if path.stem == BENCHMARKS:
                benchmarks |= descriptions.read_benchmarks(path)
            elif path.stem in tables:
                raise ConfigError(f"{path}: there is a table of this name in {files[path.stem]}")
            else:
                tables[path.stem] = descriptions.read_table(path)
                files[path.stem] = path
    settings = _all_settings(tables, files)
    _check_benchmarks(settings, benchmarks)
    own = {
        row.id
        for name, table in tables.items()
        for row in table.rows
        if row.id is not None and files[name].parent == folder
    }
    return Catalogue(tables, benchmarks, settings, frozenset(own), folder)


def _all_settings(tables: dict[str, TableFile], files: dict[str, Path]) -> dict[str, Settings]:
    """Id -> settings, from the one place where each row is written."""
    places: dict[str, tuple[str, Row]] = {}
    for name, table in tables.items():
        for row in table.rows:
            if row.id is None:
                continue
            if row.id in places:
                first = files[places[row.id][0]]
                raise ConfigError(
                    f"{files[name]}: the id {row.id} is taken in {first}; say `like: {row.id}`"
                )
            places[row.id] = name, row

    def settings(identity: str, asked_by: str, below: tuple[str, ...] = ()) -> Settings:
        if identity not in places:
            hint = check.nearest(identity, sorted(places))
            raise ConfigError(f"{files[asked_by]}: like: {identity}: no such row; {hint}")
        if identity in below:
            circle = ", ".join((*below, identity))
            raise ConfigError(f"{files[asked_by]}: rows are like each other in a circle: {circle}")
        table, row = places[identity]
        if row.like is None:
            return tables[table].settings | row.settings
        return settings(row.like, table, (*below, identity)) | row.settings

    for name, table in tables.items():
        for row in table.rows:
            settings(identity(row), name)
    return {identity: settings(identity, places[identity][0]) for identity in places}


def _check_benchmarks(settings: dict[str, Settings], known: dict[str, Benchmark]) -> None:
    for row, own in settings.items():
        name = own.get("benchmark")
        if name is not None and name not in known:
            hint = check.nearest(str(name), sorted(known))
            raise ConfigError(f"row {row}: benchmark: {name}: no such benchmark; {hint}")
