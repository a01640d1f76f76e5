"""`pixelrnn data [NAME]`: lists data sets; fetches, verifies, converts and describes one."""

from pathlib import Path
from typing import Any

from rich.console import Console

from pixelrnn.cli import plain_arguments
from pixelrnn.errors import ConfigError, DataError, PixelRNNError
from pixelrnn.results import conf_files, grid, shipped
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
    console = Console()
    root = Path(paths["data"])
    folders = [shipped.conf(), *([Path(config_dir)] if config_dir else [])]
    if name is not None:
        module = built(name, folders, overrides, root)
        _prepare(module.image_set, console)
        module.setup()
        _describe(module, console)
        if module.image_set.pictured:
            console.print(f"{_SHOWN} training images: {_picture(module, root)}", soft_wrap=True)
    elif overrides:
        raise ConfigError(f"{', '.join(overrides)}: of which set? Give its name first")
    else:
        _list(folders, root, console)


def configuration(
    name: str, folders: list[Path], overrides: dict[str, Any], root: Path
) -> dict[str, Any]:
    """The configuration that `data=NAME` stands for.

    Args:
        name: name of a file in data/.
        folders: where to look for it, in order.
        overrides: dotted keys, such as data.batch_size, with their values.
        root: folder of all data.

    Raises:
        ConfigError: there is no such set, or no such key.
    """
    from omegaconf import OmegaConf

    names = conf_files.names("data", folders)
    if name not in names:
        raise ConfigError(f"data={name}: no such data set; {check.nearest(name, names)}")
    config = conf_files.read(f"data/{name}", folders)
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


def built(name: str, folders: list[Path], overrides: dict[str, Any], root: Path) -> Any:
    """The data module of a set; no file is read yet.

    Args:
        name: name of a file in data/.
        folders: where to look for it, in order.
        overrides: dotted keys, such as data.batch_size, with their values.
        root: folder of all data.

    Raises:
        ConfigError: there is no such set, or a key of it is missing or wrong.
    """
    config = configuration(name, folders, overrides, root)
    missing = [f"data.{key}=..." for key, value in config.items() if value == "???"]
    if missing:
        raise ConfigError(f"data={name} needs {' '.join(missing)}")
    from pixelrnn.data.base import PixelDataModule  # takes seconds: a wrong name is refused before
    from pixelrnn.training import parts

    return parts.build("data", check.converted(config, "data"), PixelDataModule)


def _list(folders: list[Path], root: Path, console: Console) -> None:
    """Print all sets, with their numbers of images and their state on disc."""
    from pixelrnn.data.image_set import SPLITS

    rows = []
    for name in conf_files.names("data", folders):
        try:
            module = built(name, folders, {}, root)
            shape = " x ".join(map(str, module.image_shape))
            counts = [
                f"{module.image_set.count(split):,}" if split in module.splits else ""
                for split in SPLITS
            ]
            rows.append([name, shape, str(module.levels), *counts, module.image_set.state()])
        except PixelRNNError as error:  # one set that is wrong hides no other
            rows.append([name, *[""] * 5, str(error)])
    columns = [
        grid.Column("data="),
        grid.Column("shape", spare=1),
        *(grid.Column(heading, number=True, spare=2) for heading in ("levels", *SPLITS)),
        grid.Column("state", wraps=True),
    ]
    console.print(f"Data sets; files under {root}", highlight=False, markup=False, soft_wrap=True)
    grid.show(console, columns, rows)


def _describe(module: Any, console: Console) -> None:
    """Print what a set is and what its files hold."""
    from pixelrnn.data.stored import StoredImages

    image_set = module.image_set
    rows = [("id", module.dataset_id), *image_set.facts()]
    if isinstance(image_set, StoredImages):
        rows.append(("converted files", str(image_set.store.folder)))
    rows.append(("image", f"{' x '.join(map(str, module.image_shape))} (C x H x W)"))
    rows.append(("levels", str(module.levels)))
    rows += [(f"{split} images", f"{len(module.images(split)):,}") for split in module.splits]
    rows.append(("labels", _classes(module)))
    rows += [(f"SHA-256 of {name}", checksum) for name, checksum in _checksums(module).items()]
    if bits := png_bits(module):
        rows.append(("as PNG", bits))
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        line = f"{name:<{width}}  {text}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def png_bits(module: Any, most: int = 500) -> str:
    """Bits per sub-pixel that PNG needs for the first training images; "" if they are no pictures.

    Args:
        module: the data module.
        most: so many images are coded.
    """
    import math

    import numpy as np

    from pixelrnn.compression import codecs

    if module.image_shape[0] not in (1, 3) or not module.image_set.pictured:
        return ""
    images = np.array(module.images("train")[:most])
    sizes = codecs.sizes(codecs.CODECS[0], images, module.levels)
    dims = len(images) * math.prod(module.image_shape)
    text = f"{sizes.files / dims:.2f} bits/dim, a file an image"
    if sizes.picture is not None:
        text += f"; {sizes.picture / dims:.2f} as one picture"
    return f"{text} ({len(images):,} training images)"


def _classes(module: Any, most: int = 12) -> str:
    """The number of classes and the names of the first."""
    labels, names = module.labels("train"), module.class_names
    if not names:
        return "none" if labels is None else f"{labels.min()} to {labels.max()}, without names"
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} classes: {shown}"


def _checksums(module: Any) -> dict[str, str]:
    """SHA-256 of the values of each converted part, or of each split where nothing is converted."""
    from pixelrnn.data.converted import digest
    from pixelrnn.data.stored import StoredImages

    if isinstance(module.image_set, StoredImages):
        return module.image_set.store.checksums()
    return {split: digest(module.images(split)) for split in module.splits}


def _prepare(image_set: Any, console: Any) -> None:
    """Convert what is not there; what is there is compared with its checksums and repaired."""
    from pixelrnn.data.stored import StoredImages

    if not isinstance(image_set, StoredImages) or not image_set.store.ready():
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

    from pixelrnn import pictures, symbols
    from pixelrnn.atomic import replacing
    from pixelrnn.data.disk import explained

    path = root / f"{module.dataset_id}.png"
    images = symbols.tensor(np.array(module.images("train")[:_SHOWN]))
    with explained(path), replacing(path, "wb") as file:
        pictures.grid(images, module.levels).save(file, format="png")
    return path
