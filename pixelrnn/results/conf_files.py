"""The files of conf, put together without Hydra: in milliseconds.

Of Hydra's language for the list of defaults this takes what single groups need: a file of the same
folder (`mnist`), a file of the top folder (`/loader@_here_`), the choice of a group in the group
(`small: row_lstm`), and `_self_`. Tests hold what comes out equal to what Hydra composes.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pixelrnn.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def names(group: str, folders: Sequence[Path]) -> list[str]:
    """The choices of a group, sorted.

    Args:
        group: such as "data".
        folders: conf, and those of the user.
    """
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})


def read(
    name: str, folders: Sequence[Path], choices: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A file as dotted keys, over the files of its list of defaults.

    Args:
        name: group and choice, such as "data/mnist".
        folders: where to look for it; the first that has it counts.
        choices: of groups inside its group, such as {"model/small": "row_lstm"}, where they are not
            those of the file.

    Raises:
        ConfigError: there is no such file, it is damaged, or its defaults are of another kind.
    """
    candidates = [folder / f"{name}.yaml" for folder in folders]
    path = next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
    own = content(path)
    below: dict[str, Any] = {}
    for line in own.pop("defaults", []):
        if line == "_self_":
            continue
        group = name.rpartition("/")[0]
        if isinstance(line, dict):
            for inner, choice in line.items():
                chosen = (choices or {}).get(f"{group}/{inner}", choice)
                found = read(f"{group}/{inner}/{chosen}", folders)
                below |= {f"{inner}.{key}": value for key, value in found.items()}
            continue
        line = str(line).removesuffix("@_here_")
        below |= read(line[1:] if line.startswith("/") else f"{group}/{line}", folders)
    return below | flat(own)


def content(path: Path) -> dict[str, Any]:
    """What stands in one file; read again only if it has changed.

    Raises:
        ConfigError: it is not there, or it is no configuration.
    """
    try:
        return dict(_loaded(path, path.stat().st_mtime_ns))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration as dotted keys."""
    found: dict[str, Any] = {}
    for key, item in config.items():
        name = f"{prefix}{key}"
        found |= flat(item, f"{name}.") if isinstance(item, dict) else {name: item}
    return found


@functools.cache
def _loaded(path: Path, changed: int) -> dict[str, Any]:
    """The content of a file; `changed`, its time, makes the cache ask again."""
    try:
        found = yaml.load(path.read_bytes(), _LOADER) or {}
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: not a configuration")
    return found
