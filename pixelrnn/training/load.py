"""Models and data sets of stored runs.

A stored configuration is data, not code: only what it names as a model, a likelihood or a data set
is built; nothing else that it names is called (`trust`).
"""

from pathlib import Path
from typing import Any, TypeVar

import torch

from pixelrnn import start_up
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import RunError
from pixelrnn.models import fingerprint
from pixelrnn.models.base import ImageDistribution
from pixelrnn.runs import nodes, record, stored, upgrade
from pixelrnn.training import allocation, checkpoint, trust, weights

Built = TypeVar("Built")

_KINDS: dict[type, str] = {ImageDistribution: "model", PixelDataModule: "data set"}

_PREFIX = "model."
"""In front of the names of a model's weights in a checkpoint of `PixelModule`."""


def load_model(path: str | Path) -> ImageDistribution:
    """The model of a run folder (its best weights), a checkpoint or exported weights, in eval mode.

    Args:
        path: `runs/...`; a `.ckpt` file, also one that a plain Lightning Trainer saved; or a
            `.safetensors` file.

    Raises:
        RunError: nothing is there, or it is half written, damaged, or of other code.
    """
    start_up.finished()
    path = Path(path)
    record.require(path)
    exported = path.suffix == weights.SUFFIX
    content = weights.read(path) if exported else _best(path) if path.is_dir() else _read(path)
    state = content["state_dict"]
    with allocation.bounded_by(state, path):
        model = build(content.get("model"), ImageDistribution, path)  # type: ignore[type-abstract]
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{path}: its weights do not fit its model: {reason}") from error
    if "weights_sha256" in content and fingerprint.weights_hash(model) != content["weights_sha256"]:
        raise RunError(f"{path}: damaged (its weights are not those whose hash its header holds)")
    model.class_names = _class_names(content, model.classes)
    return model.eval()


def load_data(run: str | Path) -> PixelDataModule:
    """The data set that a run was trained on, prepared and loaded.

    Args:
        run: its folder, or a checkpoint or exported weights in it.

    Raises:
        RunError: no such run, or its configuration is damaged, or the data have changed since.
        DataError: its files are missing or damaged.
    """
    config = record.config_of(Path(run))
    run = record.folder_of(Path(run))
    data = build(config.get("data"), PixelDataModule, run / "config.yaml")
    content = config.get("data_content")
    if content is not None and content != data.content_id:
        raise RunError(f"{run}: the files of its data have changed since it was trained")
    data.prepare_data()
    data.setup()
    return data


def build(config: Any, kind: type[Built], origin: Path) -> Built:
    """Build what the description of a model or data set says.

    Args:
        config: plain dict with `_target_`.
        kind: what it must be.
        origin: for the error text.

    Raises:
        RunError: `config` describes nothing of that kind, or names what will not be called.
    """
    if not isinstance(config, dict) or "_target_" not in config:
        raise RunError(f"{origin}: holds no description of its {_KINDS.get(kind, kind.__name__)}")
    try:
        stored.plain(config)
    except ValueError as error:
        raise RunError(f"{origin}: the description cannot be used: {error}") from error
    config = upgrade.of_nodes(config)  # it is of a bounded depth now
    trust.check(config, trust.PARTS, origin)
    try:
        built = nodes.build(config)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{origin}: {config['_target_']} cannot be built: {reason}") from error
    if not isinstance(built, kind):
        raise RunError(f"{origin}: {config['_target_']} is no {kind.__name__}")
    return built


def _class_names(content: dict[str, Any], classes: int | None) -> tuple[str, ...]:
    """What a checkpoint says its labels stand for; empty if it does not, or not one for each."""
    names = content.get("class_names")
    if not isinstance(names, list) or len(names) != (classes or 0):
        return ()
    return tuple(str(name) for name in names)


def _read(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, its `state_dict` with the names of the model's weights alone."""
    content = checkpoint.read(path)
    state = {
        name.removeprefix(_PREFIX): value
        for name, value in content["state_dict"].items()
        if name.startswith(_PREFIX) and isinstance(value, torch.Tensor)
    }
    return content | {"state_dict": state}


def _best(run: Path) -> dict[str, Any]:
    """Content of best.ckpt of a run folder, or else of its exported weights; of nothing else.

    Raises:
        RunError: both are missing, or best.ckpt is damaged; the text says what may be named
            instead.
    """
    folder, exported = run / "checkpoints", run / weights.NAME
    best, last = folder / checkpoint.BEST, folder / checkpoint.LAST
    if exported.is_file() and not best.exists():
        return weights.read(exported)
    if not folder.is_dir():
        raise RunError(f"{run}: no checkpoint (not a run folder, or half written)")
    try:
        return _read(best)
    except RunError as error:
        other = ""
        if exported.is_file():
            other = f"; {exported} holds the weights of the finished run: name that file"
        elif last.is_file():
            other = f"; {last} holds the newest weights, not the best: name that file to use them"
        raise RunError(f"{error}{other}") from error
