"""Models and data sets of stored runs.

A stored configuration is data, not code: only what it names as a model, a likelihood or a data set
is built; nothing else that it names is called.
"""

import pkgutil
from pathlib import Path
from typing import Any, TypeVar

from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import RunError
from pixelrnn.likelihood.base import Likelihood
from pixelrnn.models.base import ImageDistribution
from pixelrnn.ops.conv_lstm.dispatch import Kernel
from pixelrnn.runs import nodes, record
from pixelrnn.training import checkpoint

Built = TypeVar("Built", ImageDistribution, PixelDataModule)


def load_model(path: str | Path) -> ImageDistribution:
    """The model of a run folder (its best checkpoint) or of a checkpoint file, in eval mode.

    Args:
        path: `runs/...`, or a `.ckpt` file.

    Raises:
        RunError: nothing is there, or it is half written, damaged, or of other code.
    """
    path = Path(path)
    if path.is_dir():
        found = checkpoint.sound_checkpoint(path, ("best", "last"))
        if found is None:
            raise RunError(f"{path}: no checkpoint (not a run folder, or half written)")
        path = found
    elif not path.exists():
        record.config(path)  # says that there is no such run, and which there are
    content = checkpoint.read(path)
    model = build(content.get("model"), ImageDistribution, path)
    prefix = "model."
    weights = {
        name.removeprefix(prefix): value
        for name, value in content["state_dict"].items()
        if name.startswith(prefix)
    }
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{path}: its weights do not fit its model: {reason}") from error
    return model.eval()


def load_data(run: str | Path) -> PixelDataModule:
    """The data set that a run was trained on, prepared and loaded.

    Raises:
        RunError: no such run, or its configuration is damaged.
        DataError: its files are missing or damaged.
    """
    run = Path(run)
    data = build(record.config(run).get("data"), PixelDataModule, run / "config.yaml")
    data.prepare_data()
    data.setup()
    return data


def build(config: Any, base: type[Built], origin: Path) -> Built:
    """Instantiate the description of a model or data set.

    Args:
        config: plain dict with `_target_`.
        base: what it must be.
        origin: for the error text.

    Raises:
        RunError: `config` describes nothing of that kind.
    """
    if not isinstance(config, dict) or "_target_" not in config:
        raise RunError(f"{origin}: does not describe a {base.__name__}")
    _check_targets(config, (base, Likelihood, Kernel), origin)
    try:
        built = nodes.build(config)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise RunError(f"{origin}: {config['_target_']} cannot be built: {reason}") from error
    if not isinstance(built, base):
        raise RunError(f"{origin}: {config['_target_']} is no {base.__name__}")
    return built


def _check_targets(config: dict[str, Any], bases: tuple[type, ...], origin: Path) -> None:
    for key, value in config.items():
        if key == "_target_" and not _makes(value, bases):
            raise RunError(f"{origin}: will not call {value}: not a model, likelihood or data set")
        if isinstance(value, dict):
            _check_targets(value, bases, origin)


def _makes(target: str, bases: tuple[type, ...]) -> bool:
    try:
        found = pkgutil.resolve_name(target)
    except Exception:  # whatever an import can raise
        return False
    made = found if isinstance(found, type) else getattr(found, "__annotations__", {}).get("return")
    return isinstance(made, type) and issubclass(made, bases)
