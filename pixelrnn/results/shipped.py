"""Where the package keeps its configuration files and the descriptions of its tables."""

from pathlib import Path

from pixelrnn.errors import ConfigError

_PACKAGE = Path(__file__).parent.parent


def conf() -> Path:
    """The folder of Hydra's groups: in the installed package, or in the checkout beside it.

    Raises:
        ConfigError: it is in neither.
    """
    return _folder(_PACKAGE / "conf", _PACKAGE.parent / "conf")


def tables() -> Path:
    """The folder of the tables' files: in the installed package, or in the checkout beside it.

    Raises:
        ConfigError: it is in neither.
    """
    return _folder(_PACKAGE / "tables", _PACKAGE.parent / "experiments" / "tables")


def _folder(*places: Path) -> Path:
    for place in places:
        if place.is_dir():
            return place
    raise ConfigError(f"neither {' nor '.join(map(str, places))} is there: reinstall pixelrnn")
