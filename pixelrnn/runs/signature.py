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
    "model.checkpoint_layers",
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
"""Keys that cannot change what is computed, as patterns over dotted names. The key `kernel` of a
model is another, see `_chooses_a_kernel`."""

LATER = {
    "data.subsample": 1,
    "callbacks.matmul_precision": {
        "_target_": "pixelrnn.training.callbacks.MatmulPrecision",
        "precision": "highest",
    },
}
"""Keys that earlier versions did not have -> the value that says what these did. With it, a key is
left out, so that a run of an earlier version keeps its signature. Dotted names."""

LATER_IN_MODELS = {
    "classes": None,
    "dropout": 0.0,
    "embed": None,
    "first_gate": "squashed",
}
"""The same for keys of the package's own models and of the nodes inside them. A user's own model
may have a key of the same name with another default, so there such a key counts."""

_OURS = "pixelrnn."


def effective(config: dict[str, Any], prefix: str = "", ours: bool = False) -> dict[str, Any]:
    """The part of a plain configuration that can change a result.

    Args:
        config: the whole, or a part of it; it stays as it is.
        prefix: dotted name of the part, with a dot at its end; "" for the whole.
        ours: whether the package's own code takes the part, where the part has no `_target_`.
    """
    ours = _is_ours(config) if "_target_" in config else ours
    kept = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in WITHOUT_EFFECT):
            continue
        if _chooses_a_kernel(name, value, ours) or _as_before(name, value, ours):
            continue
        kept[key] = effective(value, f"{name}.", ours) if isinstance(value, dict) else value
    return kept


def _is_ours(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("_target_")).startswith(_OURS)


def _chooses_a_kernel(name: str, value: Any, ours: bool) -> bool:
    """Whether a model's key says which implementation runs; elsewhere `kernel` may be a size."""
    return name.startswith("model.") and name.endswith(".kernel") and (ours or _is_ours(value))


def _as_before(name: str, value: Any, ours: bool) -> bool:
    if name in LATER:
        return bool(value == LATER[name])
    key = name.rpartition(".")[2]
    if not (ours and name.startswith("model.") and key in LATER_IN_MODELS):
        return False
    return bool(value == LATER_IN_MODELS[key])


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
