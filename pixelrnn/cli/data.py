"""`pixelrnn data [NAME]`: lists data sets; fetches, verifies, converts and describes one."""

from pathlib import Path
from typing import Any

import yaml

from pixelrnn.cli import compose, plain_arguments
from pixelrnn.errors import ConfigError, DataError, PixelRNNError
from pixelrnn.runs import check

_SHOWN = 64


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    plain_arguments.call(data, argv, first="name")


def data(
    *,
    name: str | None = None,
    config_dir: str | None = None,
    overrides: dict[str, Any],
    paths: dict[str, str],
) -> None:
    """List data sets; or fetch one, compare its checksums, convert, describe and draw it.

    Args:
        name: the set, as in `pixelrnn train data=NAME`; without one all sets are listed.
        config_dir: a folder of your own configurations, as in `pixelrnn train --config-dir=...`.
        overrides: a key of the set, such as data.binarize=dynamic.
        paths: folders of runs and data.

    Raises:
        ConfigError: no set has this name, or a key of it is wrong.
        DataError: files are missing or damaged.
    """
    from rich.console import Console

    console = Console()
    root = Path(paths["data"])
    folders = [*([Path(config_dir)] if config_dir else []), compose.conf_dir()]
    if name is not None:
        module = _built(name, folders, overrides, root)
        _prepare(module.image_set, console)
        module.setup()
        console.print(_description(module))
        console.print(f"{_SHOWN} training images: {_picture(module, root)}", soft_wrap=True)
    elif overrides:
        raise ConfigError(f"{', '.join(overrides)}: of which set? Give its name first")
    else:
        console.print(_listing(folders, root))


def configuration(
    name: str, folders: list[Path], overrides: dict[str, Any], root: Path
) -> dict[str, Any]:
    """The configuration that `data=NAME` stands for, composed without Hydra: in milliseconds.

    Args:
        name: of a file in data/.
        folders: where to look for it, in order.
        overrides: dotted keys, such as data.batch_size, with their values.
        root: folder of all data.

    Raises:
        ConfigError: there is no such set, or no such key.
    """
    from omegaconf import OmegaConf

    names = _names(folders)
    if name not in names:
        raise ConfigError(f"data={name}: no such data set; {check.nearest(name, names)}")
    config = _file(f"data/{name}", folders)
    for key, value in overrides.items():
        parent, _, own = key.partition(".")
        if parent != "data":
            raise ConfigError(f"{key}: expected a key of the data set, such as data.batch_size")
        if own not in config:
            raise ConfigError(check.unknown_key(key, list(config)))
        config[own] = value
    around = OmegaConf.create({"seed": 0, "paths": {"data": str(root)}, "data": config})
    plain: Any = OmegaConf.to_container(around, resolve=True)
    return plain["data"]


def _file(name: str, folders: list[Path]) -> dict[str, Any]:
    """A file of configuration with what its list of defaults adds.

    Of Hydra's language for that list it takes what data sets need: a file of the same folder
    (`mnist`), a file of the top folder (`/loader@_here_`), and `_self_`.
    """
    path = next((p for folder in folders if (p := folder / f"{name}.yaml").is_file()), None)
    if path is None:
        raise ConfigError(f"{name}.yaml: not found in {', '.join(map(str, folders))}")
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        defaults = own.pop("defaults", [])
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    config: dict[str, Any] = {}
    for default in [*defaults, *(["_self_"] if "_self_" not in defaults else [])]:
        if default == "_self_":
            config |= own
        elif isinstance(default, str):
            other = default.removesuffix("@_here_")
            config |= _file(other[1:] if other[0] == "/" else f"data/{other}", folders)
    return config


def _names(folders: list[Path]) -> list[str]:
    return sorted({path.stem for folder in folders for path in (folder / "data").glob("*.yaml")})


def _built(name: str, folders: list[Path], overrides: dict[str, Any], root: Path) -> Any:
    """The data module of a set."""
    from pixelrnn.data.base import PixelDataModule
    from pixelrnn.training import parts

    config = configuration(name, folders, overrides, root)
    missing = [f"data.{key}=..." for key, value in config.items() if value == "???"]
    if missing:
        raise ConfigError(f"data={name} needs {' '.join(missing)}")
    return parts.build("data", check.converted(config, "data"), PixelDataModule)


def _listing(folders: list[Path], root: Path) -> Any:
    """All sets, with their numbers of images and their state on disc."""
    from rich.table import Table

    from pixelrnn.data.image_set import SPLITS

    table = Table(title=f"Data sets; files under {root}", title_justify="left")
    for heading in ("data=", "shape", "levels", *SPLITS, "state"):
        table.add_column(heading, overflow="fold")
    for name in _names(folders):
        try:
            module = _built(name, folders, {}, root)
            shape = " x ".join(map(str, module.image_shape))
            counts = [
                f"{module.image_set.count(split):,}" if split in module.splits else ""
                for split in SPLITS
            ]
            table.add_row(name, shape, str(module.levels), *counts, module.image_set.state())
        except PixelRNNError as error:  # one set that is wrong hides no other
            table.add_row(name, *[""] * 5, str(error))
    return table


def _description(module: Any) -> Any:
    """What a set is and what its files hold."""
    from rich.table import Table

    from pixelrnn.data.converted import digest
    from pixelrnn.data.published import PublishedImages
    from pixelrnn.data.synthetic import SyntheticImages

    image_set = module.image_set
    table = Table(title=module.dataset_id, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    if isinstance(image_set, PublishedImages):
        source = image_set.source
        table.add_row("title", source.title)
        table.add_row("licence", source.licence)
        table.add_row("home page", source.homepage)
        for file in {file: None for files in source.files.values() for file in files}:
            table.add_row(f"raw/{file.name}", f"{file.bytes:,} bytes, SHA-256 {file.sha256}")
        table.add_row("converted files", str(image_set.store.folder))
    table.add_row("image", f"{' x '.join(map(str, module.image_shape))} (C x H x W)")
    table.add_row("levels", str(module.levels))
    for split in module.splits:
        table.add_row(f"{split} images", f"{len(module.images(split)):,}")
    labels = module.labels("train")
    table.add_row("labels", "none" if labels is None else f"{labels.min()} to {labels.max()}")
    if isinstance(image_set, PublishedImages):
        for part, checksum in image_set.store.checksums().items():
            table.add_row(f"SHA-256 of {part}.npy's values", checksum)
    else:
        for split in module.splits:
            table.add_row(f"SHA-256 of {split} pixels", digest(module.images(split)))
    if isinstance(image_set, SyntheticImages):
        table.add_row("entropy", f"{image_set.entropy:.9g} nats per image")
    return table


def _prepare(image_set: Any, console: Any) -> None:
    """Convert what is not there; what is there is compared with its checksums and repaired."""
    from pixelrnn.data.published import PublishedImages

    if not isinstance(image_set, PublishedImages) or not image_set.store.ready():
        image_set.prepare()
        return
    try:
        image_set.store.verify()
    except DataError as error:
        console.print(f"{error}\nConverting again.", soft_wrap=True, markup=False)
        image_set.store.prepare(image_set.build, again=True)


def _picture(module: Any, root: Path) -> Path:
    """Draw the first training images in a grid; returns the file."""
    import numpy as np
    import torch

    from pixelrnn import pictures
    from pixelrnn.atomic import replacing
    from pixelrnn.data.disk import explained

    path = root / f"{module.dataset_id}.png"
    images = torch.from_numpy(np.array(module.images("train")[:_SHOWN]))
    with explained(path), replacing(path, "wb") as file:
        pictures.grid(images, module.levels).save(file, format="png")
    return path
