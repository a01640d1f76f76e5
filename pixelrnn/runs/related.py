"""Runs on disc that differ little from a configuration: one that trained less, one that began so.

Folders of the same label are looked at alone, so that thousands of other runs cost nothing.
"""

import glob
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pixelrnn.errors import RunError
from pixelrnn.runs import record, stored, upgrade
from pixelrnn.runs.signature import effective

BUDGET = ("max_epochs", "max_steps")
"""Keys of the trainer that say how long to train."""


def shorter(config: dict[str, Any]) -> Path | None:
    """The finished run that trained longest of those that differ in a smaller budget alone.

    Args:
        config: of a run, filled, as config.yaml holds it.

    Returns:
        Its folder; None if there is none.
    """
    wanted, most = _without_budget(config), _budget(config)
    found = []
    for path in _beside(config, "results.json"):
        results = _loaded(path)
        other = results.get("config")
        if not isinstance(other, dict):
            continue
        other = upgrade.upgraded(other)
        if _without_budget(other) != wanted:
            continue
        budget = _budget(other)
        if budget != most and all(a <= b for a, b in zip(budget, most, strict=True)):
            found.append((budget, path.parent))
    return max(found)[1] if found else None


def initial_weights(config: dict[str, Any]) -> set[str]:
    """Hashes of the weights that runs with this configuration began with.

    With them a run goes on whose `init_from` is gone.

    Args:
        config: of a run, filled; its `init_weights` is not known.
    """
    wanted, found = effective(config), set()
    for path in _beside(config, "config.yaml"):
        try:
            other = upgrade.upgraded(record.config(path.parent))
        except (RunError, yaml.YAMLError):
            continue
        weights = other.pop("init_weights", None)
        if weights and other.get("init_from") == config["init_from"] and effective(other) == wanted:
            found.add(str(weights))
    return found


def budget_words(run: Path) -> str:
    """How long a finished run trained, as keys: "trainer.max_epochs=2"."""
    trainer = _loaded(run / "results.json")["config"]["trainer"]
    limits = {key: trainer.get(key) for key in BUDGET}
    return " ".join(
        f"trainer.{key}={value}" for key, value in limits.items() if value not in (None, -1)
    )


def _beside(config: dict[str, Any], name: str) -> Iterator[Path]:
    root = Path(config["paths"]["runs"])
    yield from sorted(root.glob(f"{glob.escape(config['label'])}-*/{name}"))
    elsewhere = Path(config["folder"]) / name
    if elsewhere.parent.parent != root and elsewhere.is_file():
        yield elsewhere


def _without_budget(config: dict[str, Any]) -> dict[str, Any]:
    kept = effective(config)
    kept.pop("init_weights", None)
    trainer = kept.get("trainer", {})
    return kept | {"trainer": {key: value for key, value in trainer.items() if key not in BUDGET}}


def _budget(config: dict[str, Any]) -> list[float]:
    """Limits of a training; what has none counts as infinite."""
    limits = [config.get("trainer", {}).get(key) for key in BUDGET]
    return [math.inf if limit in (None, -1) else float(limit) for limit in limits]


def _loaded(path: Path) -> dict[str, Any]:
    try:
        content = stored.json_of(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
