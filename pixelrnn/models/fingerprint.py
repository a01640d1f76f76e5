"""Whether two models hold the same weights, and where their descriptions differ."""

import hashlib
import inspect
from typing import Any

import torch

from pixelrnn.description import Described, plain
from pixelrnn.models.base import ImageDistribution

WITHOUT_EFFECT = ("kernel", "checkpoint_layers")
"""Arguments of our own models that change how something is computed, and not what."""


def weights_hash(model: ImageDistribution) -> str:
    """The SHA-256 of all weights in hexadecimal: of names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def differences(one: ImageDistribution, other: ImageDistribution) -> dict[str, tuple[Any, Any]]:
    """Where two models' descriptions differ: dotted argument -> its value in each.

    An argument that was not given counts with its default.
    """
    ours, theirs = (_flat(_arguments(model)) for model in (one, other))
    return {
        name: (ours.get(name), theirs.get(name))
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    }


def _arguments(model: ImageDistribution) -> dict[str, Any]:
    described = model.description() or {"_target_": type(model).__qualname__}
    likelihood = getattr(model, "likelihood", None)
    if isinstance(likelihood, Described):  # None stands for one that suits the levels
        described = described | {"likelihood": likelihood.description()}
    defaults = {
        name: plain(parameter.default)
        for name, parameter in inspect.signature(type(model)).parameters.items()
        if parameter.default is not parameter.empty
    }
    return defaults | described


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in WITHOUT_EFFECT and (_is_ours(values) or _is_ours(value)):
            continue
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


def _is_ours(value: Any) -> bool:
    """Whether the package's own code takes it: elsewhere `kernel` may be a size."""
    return isinstance(value, dict) and str(value.get("_target_")).startswith("pixelrnn.")
