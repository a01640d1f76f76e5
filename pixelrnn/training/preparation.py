"""A run that is checked and named: what is known of it before anything is built or written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelrnn.arguments import Split
from pixelrnn.data.base import PixelDataModule
from pixelrnn.errors import RunError
from pixelrnn.runs import naming, signature
from pixelrnn.training import initial, parts, run_folder, settings, world

COMPUTED = ("signature", "data_content", "init_weights")
"""Keys of config.yaml that no one can give: a run computes them."""


@dataclass(frozen=True)
class PreparedRun:
    """A checked run whose folder is known; nothing is written yet.

    Attributes:
        config: checked, filled and plain, as config.yaml holds it.
        data: its data module; no file is read yet.
        record: the stored record if the run is finished, else None.
    """

    config: dict[str, Any]
    data: PixelDataModule
    record: dict[str, Any] | None

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.config["folder"])

    @property
    def unevaluated(self) -> list[Split]:
        """Splits that the record should hold and does not."""
        metrics = (self.record or {}).get("metrics", {})
        wanted = [split for split in self.config["evaluate"] if split in self.data.splits]
        return [split for split in wanted if f"{split}/nll" not in metrics]


def prepare(config: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> PreparedRun:
    """Check a configuration, build its data module, and name its folder.

    Args:
        config: plain and resolved, with the keys of conf/train.yaml (`settings.Settings`).
        stored: what config.yaml says besides, if it is a run that is done again (`prepare_again`).

    Raises:
        ConfigError: a key is wrong, or parts do not fit each other.
        DataError: the data are the user's own files, and cannot be read.
        RunError: the folder holds another run, or `resume` forbids what would be done there; or
            `init_from` names no weights.
    """
    world.join()
    prepared: list[PreparedRun] = []

    def of_first() -> tuple[dict[str, Any], dict[str, Any] | None]:
        prepared.append(_prepare_here(config, stored or {}))
        return prepared[0].config, prepared[0].record

    filled, found = world.from_first(of_first)
    if prepared:
        return prepared[0]
    return PreparedRun(filled, parts.build("data", filled["data"], PixelDataModule), found)


def _prepare_here(config: Mapping[str, Any], stored: Mapping[str, Any]) -> PreparedRun:
    """What `prepare` does, in the one process that does it."""
    checked = settings.checked(dict(config))
    resume = checked.pop("resume")  # how the command is to act, and no part of what the run is
    data = parts.build("data", checked["data"], PixelDataModule)
    filled = parts.filled(checked, data)
    folder = None if filled["folder"] in (None, naming.FOLDER) else filled["folder"]
    filled = naming.moved(filled, naming.FOLDER)
    filled["data_content"] = data.content_id
    filled |= stored or _initial_weights(filled | {"folder": folder or naming.FOLDER})
    filled.setdefault("signature", signature.signature(filled))
    default = f"{filled['paths']['runs']}/{filled['label']}-{filled['signature']}"
    filled = naming.moved(filled, folder or default)
    prepared = PreparedRun(filled, data, run_folder.stored_record(filled))
    if prepared.record is None:
        run_folder.check_resume(prepared.folder, resume)
    return prepared


def _initial_weights(config: dict[str, Any]) -> dict[str, str]:
    """The key `init_weights`; it is left out without `init_from`, as before there was one."""
    found = initial.digest(config)
    return {} if found is None else {"init_weights": found}


def prepare_again(config: dict[str, Any]) -> PreparedRun:
    """Prepare a run from its stored configuration: it keeps its signature.

    Args:
        config: content of config.yaml; its `folder` says where.

    Raises:
        RunError: the data have changed since; else as `prepare`.
    """
    given = {key: value for key, value in config.items() if key not in COMPUTED}
    kept = ("signature", "init_weights")
    prepared = prepare(given, {key: config[key] for key in kept if key in config})
    content = config.get("data_content")
    if content is not None and content != prepared.config["data_content"]:
        raise RunError(
            f"{prepared.folder}: the files of its data have changed since it was trained"
        )
    return prepared
