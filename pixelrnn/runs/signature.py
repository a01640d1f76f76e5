"""What makes two runs the same: the signature of a configuration.

The same command finds the same run: finished, it reports the stored result; half done, it resumes.
"""

import fnmatch
import hashlib
import json
from typing import Any

WITHOUT_EFFECT = (
    "paths",
    "logger",
    "threads",
    "kernel",
    "model.kernel",
    "model.checkpoint_layers",
    "model.*.kernel",
    "model.*.checkpoint_layers",
    "folder",
    "init_from",
    "on_out_of_memory",
    "skip_bad_steps",
    "signature",
    "sweep_name",
    "label",
    "scale_name",
    "evaluate",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.deterministic",
    "trainer.log_every_n_steps",
    "trainer.enable_*",
    "trainer.profiler",
    "data.num_workers",
    "data.eval_batch_size",
    "data.root",
    "data.in_memory",
    "data.on_device",
    "callbacks.checkpoints",
    "callbacks.samples",
    "callbacks.progress",
    "callbacks.summary",
    "callbacks.learning_rate",
)
"""Keys that cannot change what is computed, as patterns over dotted names."""

LATER = {
    "model.*classes": None,
    "model.*dropout": 0.0,
    "model.*embed": None,
    "model.*first_gate": "squashed",
    "data.subsample": 1,
    "callbacks.matmul_precision": {
        "_target_": "pixelrnn.training.callbacks.MatmulPrecision",
        "precision": "highest",
    },
}
"""Keys that earlier versions did not have -> the value that says what these did. With it, a key is
left out, so that a run of an earlier version keeps its signature. Patterns over dotted names."""


def effective(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The part of a plain configuration that can change a result."""
    kept = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in WITHOUT_EFFECT):
            continue
        if _as_before(name, value):
            continue
        kept[key] = effective(value, f"{name}.") if isinstance(value, dict) else value
    return kept


def _as_before(name: str, value: Any) -> bool:
    return any(fnmatch.fnmatchcase(name, key) and value == old for key, old in LATER.items())


def signature(config: dict[str, Any]) -> str:
    """Eight hexadecimal digits of the SHA-256 of the effective configuration."""
    text = json.dumps(effective(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Dotted keys in which the effective parts of two configurations differ."""
    a, b = _flat(effective(one)), _flat(effective(other))
    return sorted(key for key in a.keys() | b.keys() if a.get(key, ...) != b.get(key, ...))


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
