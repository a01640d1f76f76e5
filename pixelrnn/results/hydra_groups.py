"""The rows of all tables as choices of Hydra's groups: nothing about them stands in conf.

experiment=<id of a row>     benchmark=<name>
sweep=<name of a table>      scale=<name>: data=<benchmark>_at_<name>, also sizes
"""

from collections.abc import Sequence
from typing import Any

from pixelrnn.errors import ConfigError
from pixelrnn.results import rows, shipped
from pixelrnn.results.descriptions import Settings, TableFile
from pixelrnn.results.rows import Catalogue

GROUPS = ("benchmark", "experiment", "scale", "sizes", "sweep")
"""Groups of whole configurations, which may have no folder in conf."""

_registered: dict[tuple[str, str], dict[str, Any]] = {}


def register(words: Sequence[str] = ()) -> None:
    """Put every row, table and benchmark into Hydra's store; before Hydra composes.

    Args:
        words: of the command line: `paths.tables=FOLDER` adds the user's own tables.

    Raises:
        ConfigError: a file of tables is damaged; one line.
    """
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    found = nodes(rows.load(rows.own_folder(words)))
    for group, name in _registered.keys() - found.keys():  # from another folder of tables
        del store.repo[group][f"{name}.yaml"]
        del _registered[group, name]
    for (group, name), node in found.items():
        if _registered.get((group, name)) == node:  # storing takes longer than comparing
            continue
        package = "_global_" if group in GROUPS else None
        store.store(name, node, group=group, package=package, provider="tables")
        _registered[group, name] = node


def nodes(catalogue: Catalogue) -> dict[tuple[str, str], dict[str, Any]]:
    """All choices: (group, name) -> configuration, with Hydra's defaults list.

    Raises:
        ConfigError: a setting is neither a group's choice nor a dotted key.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, benchmark in catalogue.benchmarks.items():
        found["benchmark", name] = _node(benchmark.paper, f"benchmark {name}")
        for scale, settings in benchmark.others.items():
            choice = f"{name}_at_{scale}"
            found["data", choice], found["sizes", choice] = _scaled(settings, name)
            if not (shipped.conf() / "scale" / f"{scale}.yaml").exists():
                found["scale", scale] = _scale(scale)
    for name, settings in catalogue.settings.items():
        found["experiment", name] = _node(settings, f"row {name}")
    for name, table in catalogue.tables.items():
        found["sweep", name] = _sweep(name, table, catalogue)
    return found


def is_group(key: str) -> bool:
    """Whether a key without a dot names a group of choices."""
    return key in GROUPS or (shipped.conf() / key).is_dir()


def _sweep(name: str, table: TableFile, catalogue: Catalogue) -> dict[str, Any]:
    """All rows of a table; the benchmark is chosen here, too, so that a scale can be."""
    ids = [rows.identity(row) for row in table.rows]
    benchmarks = [catalogue.settings[row].get("benchmark") for row in ids]
    first = {"benchmark": benchmarks[0]} if benchmarks and benchmarks[0] else {}
    node = _node(first, f"table {name}")
    params = {"experiment": ", ".join(ids)}
    return node | {"sweep_name": name, "hydra": {"sweeper": {"params": params}}}


def _scale(name: str) -> dict[str, Any]:
    """What a scale's file in conf says, if the scale asks for nothing of its own."""
    choice = f"${{benchmark}}_at_{name}"
    return {"defaults": [{"override /data": choice}, {"override /sizes": choice}, "_self_"]} | {
        "scale_name": name
    }


def _scaled(settings: Settings, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data at a scale, and everything else."""
    own = {
        key.removeprefix("data."): value
        for key, value in settings.items()
        if key.startswith("data.")
    }
    others = {key: value for key, value in settings.items() if key.partition(".")[0] != "data"}
    data = {"defaults": [settings["data"], "_self_"], **_nested(own)}
    return data, _node(others, f"benchmark {name}")


def _node(settings: Settings, where: str) -> dict[str, Any]:
    """Settings as a file of conf would say them."""
    overrides: list[Any] = []
    values = {}
    for key, value in settings.items():
        if "." not in key and is_group(key):
            if not isinstance(value, str):
                raise ConfigError(f"{where}: {key}: {value}: must be the name of a choice")
            overrides.append({f"override /{key}": value})
        else:
            values[key] = value
    return {"defaults": [*overrides, "_self_"], **_nested(values)}


def _nested(values: Settings) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return nested
