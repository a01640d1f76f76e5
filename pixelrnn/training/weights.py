"""weights.safetensors: a model as one file to give away. No pickle is written or read.

The tensors have the names of the model's `state_dict`. The header holds strings alone:

    format, version     "pixelrnn-weights", "1"
    model               JSON: the description of the model, as in a checkpoint
    class_names         JSON: what the labels stand for; [] if there are none
    weights_sha256      of names, dtypes, shapes and values: the format itself finds no flipped bit
    dataset_id, label, signature, pixelrnn, val/bits_per_dim, ...   of the run, where it is known

A header is data of somebody else, such as a checkpoint: `load` looks at what it names.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised

import pixelrnn
from pixelrnn import atomic
from pixelrnn.errors import RunError
from pixelrnn.models import fingerprint
from pixelrnn.models.base import ImageDistribution

NAME = "weights.safetensors"
SUFFIX = ".safetensors"

_FORMAT, _VERSION = "pixelrnn-weights", "1"


def save(path: Path, model: ImageDistribution, about: Mapping[str, str] | None = None) -> None:
    """Write a model; the file is replaced at once.

    Args:
        path: the file.
        model: with a description, as all have whose arguments are plain.
        about: further strings for the header.

    Raises:
        RunError: the model cannot describe itself.
    """
    described = model.description()
    if described is None:
        raise RunError(f"{path}: {type(model).__name__} has arguments that no file can describe")
    header = {
        **(about or {}),
        "format": _FORMAT,
        "version": _VERSION,
        "pixelrnn": pixelrnn.__version__,
        "model": json.dumps(described),
        "class_names": json.dumps(model.class_names),
        "weights_sha256": fingerprint.weights_hash(model),
    }
    tensors = {  # copies: the format refuses tensors that share memory
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
    with atomic.replacing(path, "wb") as file:
        file.write(serialised(tensors, header))


def export(run: Path, model: ImageDistribution, record: Mapping[str, Any]) -> None:
    """Write the weights of a finished run into its folder, with its likelihoods in the header.

    Args:
        run: folder.
        model: of the best checkpoint; one that cannot describe itself is not exported.
        record: of the run.
    """
    if model.description() is None:
        return
    about = {key: str(record[key]) for key in ("dataset_id", "label", "signature")}
    bits = {key: repr(v) for key, v in record["metrics"].items() if key.endswith("/bits_per_dim")}
    save(run / NAME, model, about | bits)


def read(path: Path) -> dict[str, Any]:
    """What a file holds, as a checkpoint would: `model`, `state_dict`, `class_names`.

    Besides, `weights_sha256` and `about`, the other strings of the header.

    Raises:
        RunError: it is missing, damaged, or not written by `save`.
    """
    if not path.is_file():
        raise RunError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            header = dict(file.metadata() or {})
            if header.pop("format", None) != _FORMAT:
                raise RunError(f"{path}: not weights of this project (no format {_FORMAT})")
            if header.pop("version", None) != _VERSION:
                raise RunError(f"{path}: written by a newer version of pixelrnn; install that")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model, names = json.loads(header.pop("model")), json.loads(header.pop("class_names", "[]"))
        digest = header.pop("weights_sha256")
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise RunError(f"{path}: not readable weights ({reason})") from error
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise RunError(f"{path}: {name} holds values that are not finite")
    return {
        "model": model,
        "state_dict": tensors,
        "class_names": names,
        "weights_sha256": digest,
        "about": header,
    }
