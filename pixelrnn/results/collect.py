"""Finds runs on disc, in seconds for thousands: no torch, and no YAML where results.json is."""

import fnmatch
import json
import os
import time
from collections.abc import Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pixelrnn.results import membership, progress
from pixelrnn.results.conf_files import flat
from pixelrnn.runs import record, stored, upgrade
from pixelrnn.runs.signature import effective

State = Literal["finished", "running", "unfinished", "failed", "damaged"]

_OF_THE_DRAW = ("seed", "data.seed", "folder", "signature", "callbacks.*.dirpath")


@dataclass(frozen=True)
class Run:
    """What is known of a run folder.

    Attributes:
        folder: where it lies.
        state: finished: its record is whole; running: a process of this machine trains it;
            unfinished: interrupted, or trained elsewhere; failed: the last try raised; damaged:
            its files cannot be read.
        config: resolved configuration, its nodes with today's names and keys; empty if damaged.
        results: the record; empty unless finished.
        changed: seconds since the epoch.
        message: why it failed or is damaged.
        sweeps: the names of the sweeps that have this run as a job.
    """

    folder: Path
    state: State
    config: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    changed: float = 0.0
    message: str | None = None
    sweeps: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """<data>-<model>."""
        return self.config.get("label") or self.folder.name.rpartition("-")[0]

    def metric(self, name: str) -> float | None:
        """A final metric such as val/bits_per_dim."""
        return self.results.get("metrics", {}).get(name)

    def age(self) -> float:
        """Seconds since anything was recorded."""
        return max(0.0, time.time() - self.changed)


def scan(root: Path) -> list[Run]:
    """All runs directly below a folder, by name. Other folders are passed over."""
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        folders = sorted(Path(e.path) for e in entries if e.is_dir() and e.name[0] != ".")
    noted, held = membership.sweeps(root), progress.locks()
    found = [run for folder in folders if (run := look(folder, held)) is not None]
    return [replace(run, sweeps=_sweeps(run, noted)) for run in found]


def _sweeps(run: Run, noted: dict[str, set[str]]) -> frozenset[str]:
    """Those of the notes, and the one that the run itself was started with."""
    own = run.config.get("sweep_name")
    return frozenset(noted.get(run.folder.name, set()) | ({own} if own else set()))


def look(folder: Path, held: Set[int] = frozenset()) -> Run | None:
    """One run folder; None if it is none.

    Args:
        folder: where it lies.
        held: locks that processes hold, from `progress.locks`.
    """
    names = set(os.listdir(folder))
    if "results.json" in names:
        return _finished(folder)
    if not names & {"config.yaml", "failed.json"}:
        return None
    state: State = "failed" if "failed.json" in names else "unfinished"
    message = record.failure(folder)
    config = {}
    if "config.yaml" in names:
        config = _config(folder)
        if not config:
            state, message = "damaged", "config.yaml is not readable"
        elif progress.is_running(folder, held):
            state, message = "running", None
    newest = max((folder / name).stat().st_mtime for name in names if name[0] != ".")
    return Run(folder, state, config, changed=newest, message=message)


def setting(config: dict[str, Any]) -> str:
    """Equal for runs that differ in nothing but their seed."""
    kept = _without_draw(effective(config))
    return json.dumps(kept, sort_keys=True).replace(json.dumps(config.get("folder"))[1:-1], ".")


def varied(runs: list[Run]) -> list[str]:
    """Dotted keys in which the settings of runs differ, seeds and folders apart.

    Where the class of a node differs (`model._target_`), keys that only some classes have are no
    settings that were varied.
    """
    settings = [
        flat({k: v for k, v in _without_draw(effective(run.config)).items() if k != "callbacks"})
        for run in runs
        if run.config
    ]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    differing = [key for key in keys if len({repr(s.get(key)) for s in settings}) > 1]
    classes = {key.removesuffix("_target_") for key in differing if key.endswith("._target_")}
    return [
        key
        for key in differing
        if all(key in s for s in settings) or not key.startswith(tuple(classes))
    ]


def _without_draw(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    kept = {}
    for key, item in config.items():
        name = f"{prefix}{key}"
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in _OF_THE_DRAW):
            kept[key] = _without_draw(item, f"{name}.") if isinstance(item, dict) else item
    return kept


def _finished(folder: Path) -> Run:
    path = folder / "results.json"
    changed = path.stat().st_mtime
    try:
        results = stored.json_of(path)
        wrong = record.fault(results)
    except (OSError, ValueError):
        wrong = "it is not readable"
    if wrong is not None:
        return Run(folder, "damaged", changed=changed, message=f"results.json: {wrong}")
    config = upgrade.of_nodes(results.get("config") or {}) or _config(folder)
    return Run(folder, "finished", config, results, changed)


def _config(folder: Path) -> dict[str, Any]:
    """The configuration with the names and keys that its nodes have today; empty if damaged."""
    try:
        content = stored.yaml_of(folder / "config.yaml")
    except (OSError, ValueError):
        return {}
    return upgrade.of_nodes(content) if isinstance(content, dict) else {}
