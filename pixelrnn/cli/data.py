"""`pixelrnn data [NAME] [paths.data=FOLDER]`: fetch, verify, convert and describe data sets."""

import difflib
import os
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pixelrnn import pictures
from pixelrnn.atomic import replacing
from pixelrnn.data.base import PixelDataModule
from pixelrnn.data.catalogue import ALIASES, CATALOGUE, state
from pixelrnn.data.converted import digest
from pixelrnn.data.disk import explained
from pixelrnn.data.published import StoredDataModule
from pixelrnn.data.synthetic import SyntheticDataModule
from pixelrnn.errors import ConfigError, DataError

USAGE = """usage: pixelrnn data [NAME] [paths.data=FOLDER]

Without a name: all data sets and their state on disc.
With a name: fetch it, compare its checksums, convert it, describe it, and draw some of its images.
FOLDER defaults to $PIXELRNN_DATA, else data."""

_SHOWN = 64


def main(argv: list[str]) -> None:
    """Entry of the verb."""
    if {"-h", "--help"} & set(argv):
        print(USAGE)
        return
    data(*parse(argv))


def parse(argv: list[str]) -> tuple[str | None, Path]:
    """The name, if any, and the root.

    Raises:
        ConfigError: anything else was given.
    """
    names = [argument for argument in argv if "=" not in argument]
    settings = dict(argument.split("=", 1) for argument in argv if "=" in argument)
    root = settings.pop("paths.data", os.environ.get("PIXELRNN_DATA") or "data")
    if settings or len(names) > 1:
        wrong = [*settings, *names[1:]]
        raise ConfigError(f"{', '.join(wrong)}: expected one name and paths.data=FOLDER")
    return (names[0] if names else None), Path(root)


def data(name: str | None, root: Path, console: Console | None = None) -> None:
    """List all sets, or prepare, verify and describe one.

    Args:
        name: of the set; None lists all.
        root: folder of all data.
        console: where to print; None: the terminal.

    Raises:
        ConfigError: no set has this name.
        DataError: files are missing or damaged.
    """
    console = console or Console()
    if name is None:
        console.print(listing(root))
        return
    module = CATALOGUE[_known(name)](root)
    if isinstance(module, StoredDataModule):
        _prepare(module, console)
    module.setup()
    console.print(description(module))
    picture = root / f"{module.dataset_id}.png"
    images = torch.from_numpy(np.array(module.images("train")[:_SHOWN]))
    with explained(picture), replacing(picture, "wb") as file:
        pictures.grid(images, module.levels).save(file, format="png")
    console.print(f"{_SHOWN} training images: {picture}", soft_wrap=True)


def listing(root: Path) -> Table:
    """All sets, with their state on disc."""
    table = Table(title=f"Data sets; files under {root}", title_justify="left")
    for heading in ("name", "shape", "levels", "images", "state"):
        table.add_column(heading)
    for name, make in CATALOGUE.items():
        module = make(root)
        shape = " x ".join(map(str, module.image_shape))
        table.add_row(name, shape, str(module.levels), _counts(module), state(module))
    return table


def description(module: PixelDataModule) -> Table:
    """What a set is and what its files hold."""
    table = Table(title=module.dataset_id, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    if isinstance(module, StoredDataModule):
        source = module.source
        table.add_row("title", source.title)
        table.add_row("licence", source.licence)
        table.add_row("home page", source.homepage)
        for file in {file: None for files in source.files.values() for file in files}:
            table.add_row(f"raw/{file.name}", f"{file.bytes:,} bytes, SHA-256 {file.sha256}")
        table.add_row("converted files", str(module.store.folder))
    table.add_row("image", f"{' x '.join(map(str, module.image_shape))} (C x H x W)")
    table.add_row("levels", str(module.levels))
    for split in module.splits:
        table.add_row(f"{split} images", f"{len(module.images(split)):,}")
    if isinstance(module, StoredDataModule):
        for part, checksum in module.store.checksums().items():
            table.add_row(f"SHA-256 of {part}.npy's pixels", checksum)
    else:
        for split in module.splits:
            table.add_row(f"SHA-256 of {split} pixels", digest(module.images(split)))
    if isinstance(module, SyntheticDataModule):
        table.add_row("entropy", f"{module.entropy:.9g} nats per image")
    return table


def _prepare(module: StoredDataModule, console: Console) -> None:
    """Convert what is not there; what is there is compared with its checksums and repaired."""
    if not module.store.ready():
        module.prepare_data()
        return
    try:
        module.store.verify()
    except DataError as error:
        console.print(f"{error}\nConverting again.", soft_wrap=True, markup=False)
        module.store.prepare(module.build, again=True)


def _counts(module: PixelDataModule) -> str:
    if isinstance(module, StoredDataModule):
        return " / ".join(f"{count:,} {part}" for part, count in module.source.parts.items())
    return " / ".join(f"{len(module.images(split)):,}" for split in module.splits)


def _known(name: str) -> str:
    name = ALIASES.get(name, name)
    if name not in CATALOGUE:
        names = sorted({*CATALOGUE, *ALIASES})
        near = difflib.get_close_matches(name, names, n=1)
        guess = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(f"no data set is called {name!r}.{guess} There are: {', '.join(names)}")
    return name
